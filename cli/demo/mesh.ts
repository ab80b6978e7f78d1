import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { stringify } from 'yaml';
import { mintJoinToken } from '../../control-plane/authority/join-token.ts';
import { type Part, Processes } from './processes.ts';
import { GATEWAY, meshDocument, NAMESPACE, SERVICES } from './topology.ts';

const TOKEN_MS = 600_000;
const READY_MS = 60_000;
const GRACE_MS = 1_200;

/** One running sidecar. */
interface DemoSidecar {
  readonly service: string;
  readonly admin: string;
  readonly inbound: string;
  readonly outbound: string;
}

/** The running demo. */
export interface DemoMesh {
  readonly gateway: string;
  readonly controlPlane: string;
  readonly sidecars: readonly DemoSidecar[];
  readonly gatewayAdmin: string;
  /** All admin ports. */
  readonly admins: readonly string[];
  readonly meshFile: string;
  readonly logFile: string;
  readonly processes: number;
  onDeath(listener: (name: string, code: number | null) => void): void;
  stop(): Promise<void>;
}

/** Starts control plane, applications, a sidecar beside each, and the gateway; resolves when a request can go all the way. */
export async function startDemoMesh(): Promise<DemoMesh> {
  const dir = mkdtempSync(join(tmpdir(), 'tulle-demo-'));
  const logFile = join(dir, 'demo.log');
  const processes = new Processes(logFile);
  const stop = async (): Promise<void> => {
    await processes.stop(GRACE_MS);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const started = await startParts(dir, processes);
    return {
      ...started,
      logFile,
      get processes() {
        return processes.count;
      },
      onDeath(listener) {
        processes.onDeath = listener;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startParts(dir: string, processes: Processes) {
  const meshFile = join(dir, 'mesh.yaml');
  const state = join(dir, 'state');
  writeMesh(meshFile, new Map());
  const control = await processes.start('control-plane', [
    'control-plane',
    '--mesh',
    meshFile,
    '--state',
    state,
    '--listen',
    '127.0.0.1:0',
  ]);
  const managed = await joinArguments(
    dir,
    state,
    String(control.ready.address),
    String(control.ready.bundle),
  );
  const gatewayStarting = processes.start('gateway', [
    'sidecar',
    '--workers',
    '1',
    '--gateway',
    '127.0.0.1:0',
    '--gateway-name',
    `${NAMESPACE}/edge`,
    '--namespace',
    NAMESPACE,
    ...managed(GATEWAY),
  ]);
  const sidecars = (
    await Promise.all(SERVICES.map((service) => startService(service, processes, managed)))
  ).flat();
  const gateway = await gatewayStarting;
  const inbounds = new Map(
    SERVICES.map(({ name }) => [
      name,
      sidecars.filter(({ service }) => service === name).map(({ inbound }) => inbound),
    ]),
  );
  // The registry follows its file: sidecars learn the endpoints as they would those of new pods.
  writeMesh(meshFile, inbounds);
  const gatewayAdmin = String(gateway.ready.admin);
  const admins = [...sidecars.map(({ admin }) => admin), gatewayAdmin];
  await Promise.all(
    admins.map((admin) =>
      waitUntil(() => isReady(admin), `the sidecar with admin port ${admin} to be ready`),
    ),
  );
  const gatewayAddress = String(gateway.ready.gateway);
  await waitUntil(() => answersAt(gatewayAddress), 'a request to go through the whole mesh');
  return {
    gateway: gatewayAddress,
    controlPlane: String(control.ready.address),
    sidecars,
    gatewayAdmin,
    admins,
    meshFile,
  };
}

/** The flags by which a sidecar joins: each workload has a token of its own. */
async function joinArguments(
  dir: string,
  state: string,
  address: string,
  bundle: string,
): Promise<(workload: string) => string[]> {
  const tokens = join(dir, 'tokens');
  mkdirSync(tokens, { mode: 0o700 });
  for (const name of [GATEWAY, ...SERVICES.map((service) => service.name)]) {
    writeFileSync(join(tokens, name), await mintJoinToken(state, `${NAMESPACE}/${name}`, TOKEN_MS), {
      mode: 0o600,
    });
  }
  return (workload) => [
    '--control-plane',
    address,
    '--bundle',
    bundle,
    '--token-file',
    join(tokens, workload),
    '--admin',
    '127.0.0.1:0',
    '--drain',
    '300ms',
    '--log-level',
    'warn',
  ];
}

async function startService(
  service: (typeof SERVICES)[number],
  processes: Processes,
  managed: (workload: string) => string[],
): Promise<DemoSidecar[]> {
  const { name, calls, instances } = service;
  const app = await processes.start(`${name}-app`, [
    'demo-app',
    JSON.stringify({ service: name, calls, instances }),
  ]);
  const addresses = app.ready.addresses as string[]; // as runDemoApp prints it
  const parts = await Promise.all(
    addresses.map((address, index) =>
      processes.start(`${name}-${index}`, [
        'sidecar',
        '--inbound',
        '127.0.0.1:0',
        '--outbound',
        '127.0.0.1:0',
        '--workload',
        `${NAMESPACE}/${name}=${address}`,
        ...managed(name),
      ]),
    ),
  );
  app.child.send({ outbound: parts.map((part) => String(part.ready.outbound)) });
  return parts.map((part) => sidecarOf(name, part));
}

function sidecarOf(service: string, { ready }: Part): DemoSidecar {
  return {
    service,
    admin: String(ready.admin),
    inbound: String(ready.inbound),
    outbound: String(ready.outbound),
  };
}

function writeMesh(file: string, endpoints: ReadonlyMap<string, readonly string[]>): void {
  writeFileSync(`${file}.new`, stringify(meshDocument(endpoints)));
  renameSync(`${file}.new`, file);
}

async function isReady(admin: string): Promise<boolean> {
  const { statusCode, body } = await request(`http://${admin}/readyz`);
  await body.dump();
  return statusCode === 200;
}

async function answersAt(gateway: string): Promise<boolean> {
  const { statusCode, body } = await request(`http://${gateway}/`);
  await body.dump();
  return statusCode === 200;
}

/** Asks again until it holds. Throws an Error that says what was waited for. */
async function waitUntil(holds: () => Promise<boolean>, what: string): Promise<void> {
  const until = performance.now() + READY_MS;
  while (performance.now() < until) {
    if (await holds().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited ${READY_MS / 1000} s in vain for ${what}`);
}
