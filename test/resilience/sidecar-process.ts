import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { appMesh, temporaryDir, writeMesh } from '../fixture/relay.ts';
import { startTulle } from '../fixture/tulle.ts';
import { until } from '../fixture/wait.ts';

/** An outbound sidecar in a process of its own. */
export interface SidecarProcess {
  /** HOST:PORT of its outbound listener. */
  readonly outbound: string;
  readonly admin: string;
  /** The page of metrics. */
  metrics(): Promise<string>;
  /** What is told of a request, once it is over. */
  explained(id: string): Promise<Explained>;
}

interface Explained {
  readonly status: number;
  readonly reason: string;
  readonly detail: string;
  readonly attempts: readonly { endpoint: string; result: string; hedge?: true }[];
  readonly policies: readonly { policy: string; decision: string; detail: string }[];
}

/** Of the service `t/app` with these endpoints and annotations (without their prefix); gone with the test. */
export function sidecarFor(
  context: TestContext,
  endpoints: readonly string[],
  annotations: Readonly<Record<string, string>> = {},
): Promise<SidecarProcess> {
  const prefixed = Object.fromEntries(
    Object.entries(annotations).map(([name, value]) => [`tulle.dev/${name}`, value]),
  );
  return sidecarOn(context, appMesh(endpoints, prefixed));
}

export async function sidecarOn(
  context: TestContext,
  mesh: object,
  ...flags: string[]
): Promise<SidecarProcess> {
  const file = join(temporaryDir(context), 'mesh.yaml');
  writeMesh(file, mesh);
  const { ready } = await startTulle(
    context,
    ...['sidecar', '--standalone', file, '--outbound', '127.0.0.1:0', '--admin', '127.0.0.1:0'],
    ...['--workload', 't/web=127.0.0.1:1', ...flags],
  );
  const { outbound = '', admin = '' } = ready;
  return {
    outbound,
    admin,
    metrics: async () => (await fetch(`http://${admin}/metrics`)).text(),
    async explained(id) {
      const url = `http://${admin}/explain/${id}`;
      await until(`the explanation of ${id}`, async () => (await fetch(url)).ok);
      return (await (await fetch(url)).json()) as Explained;
    },
  };
}
