/** Runs `stop` once at SIGTERM or SIGINT, then ends the process; a second signal ends it at once. */
export function onStop(stop: () => Promise<void>): void {
  let stopping = false;
  const handle = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(signal === 'SIGINT' ? 130 : 143);
    stopping = true;
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(`tulle: ${error instanceof Error ? error.message : String(error)}`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', handle);
  process.on('SIGINT', handle);
  // Started by another process that watches over it: gone with it.
  if (process.send !== undefined) process.on('disconnect', () => handle('SIGTERM'));
}
