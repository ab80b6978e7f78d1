import { checkAnswer } from '../ask/answers.ts';
import { until } from '../ask/until.ts';
import type { Protocol } from '../proxies/peer.ts';
import { compileC, compileGrpc, startListening } from './compiled.ts';
import { type AppGround, startHttp2App, startTlsApp } from './nginx-app.ts';

/** The applications that proxies can stand before. */
export type AppName = 'http' | 'mtls' | 'http2' | 'grpc' | 'stream';

/** The running applications' ports; only those that a run needs are there. */
export type Applications = Partial<Record<AppName, number>>;

async function startCompiled(binary: string, args: readonly string[], protocol: Protocol): Promise<number> {
  const port = await startListening(binary, args);
  const question = { port, host: 'app.bench', path: '/bytes/100', responseBytes: 100 };
  await until(
    () => checkAnswer(protocol, question),
    `${binary} gave no answer`,
    () => undefined,
  );
  return port;
}

const starters: Readonly<Record<AppName, (ground: AppGround) => Promise<number>>> = {
  http: ({ directory }) => startCompiled(compileC('backend/app.c', directory), [], 'http'),
  mtls: startTlsApp,
  http2: startHttp2App,
  grpc: ({ directory }) => startCompiled(compileGrpc(directory), ['server'], 'grpc'),
  stream: ({ directory }) => startCompiled(compileC('backend/stream-app.c', directory), [], 'tcp'),
};

/**
 * Starts the applications of these names on the core of the bench. One that cannot start is left out, for the
 * scenarios that need it to fail, and `complain` is told why.
 */
export async function startApplications(
  names: ReadonlySet<AppName>,
  ground: AppGround,
  complain: (message: string) => void,
): Promise<Applications> {
  const running: Applications = {};
  for (const name of names) {
    try {
      running[name] = await starters[name](ground);
    } catch (error) {
      complain(`application ${name} did not start: ${(error as Error).message}`);
    }
  }
  return running;
}
