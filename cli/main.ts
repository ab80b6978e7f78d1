/** Runs the command line. The sidecar goes past commander, whose 8 MB each pod would pay for. */
async function main(args: readonly string[]): Promise<void> {
  const [command, ...rest] = args;
  if (command === 'sidecar' && !rest.includes('--help') && !rest.includes('-h')) {
    const { sidecarCommand } = await import('./sidecar.ts');
    await sidecarCommand(rest);
    return;
  }
  if (command === 'demo-app') {
    // A part of `tulle demo`, started by it alone.
    const { runDemoApp } = await import('./demo/app.ts');
    await runDemoApp(JSON.parse(rest[0] ?? '{}'));
    return;
  }
  const { commands } = await import('./commands.ts');
  await commands().parseAsync([...args], { from: 'user' });
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(`tulle: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
