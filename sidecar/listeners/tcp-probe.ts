import { connect, type Socket } from 'node:net';

/** Where an application may be probed: at these ports of its own address, and nowhere else. */
export interface ProbedPorts {
  /** An IP address. */
  readonly host: string;
  readonly ports: readonly number[];
}

/** What came of a probe; `why` says why it did not connect. */
export type ProbeResult = { readonly connected: true } | { readonly connected: false; readonly why: string };

const LIMIT_MS = 1000;

/**
 * Connects to the application as kubelet would, past the redirection; undefined: the port is not one of those that
 * may be probed. One connection a port is on its way at most: who asks meanwhile gets the same answer, so however many
 * ask, the application sees one.
 */
export function tcpProber(
  { host, ports }: ProbedPorts,
  open: (to: { host: string; port: number }) => Socket = connect,
): (port: number) => Promise<ProbeResult> | undefined {
  const allowed = new Set(ports);
  const underWay = new Map<number, Promise<ProbeResult>>();
  return (port) => {
    if (!allowed.has(port)) return undefined;
    const known = underWay.get(port);
    if (known !== undefined) return known;
    const probe = tryConnect(open({ host, port }), `${host} port ${port}`).finally(() =>
      underWay.delete(port),
    );
    underWay.set(port, probe);
    return probe;
  };
}

function tryConnect(socket: Socket, where: string): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const end = (result: ProbeResult): void => {
      clearTimeout(limit);
      socket.destroy();
      resolve(result);
    };
    const failed = (why: string): void => end({ connected: false, why: `${where}: ${why}` });
    // Not the socket's own timeout: it begins anew with each activity.
    const limit = setTimeout(() => failed(`no answer within ${LIMIT_MS} ms`), LIMIT_MS);
    socket.once('connect', () => end({ connected: true }));
    socket.on('error', (error: NodeJS.ErrnoException) => failed(error.code ?? error.message));
  });
}
