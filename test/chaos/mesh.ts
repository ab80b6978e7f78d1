import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { mintJoinToken } from '../../control-plane/authority/join-token.ts';
import { until } from '../fixture/wait.ts';
import { type Impairment, nowMs } from './evidence.ts';
import { FaultProxy } from './fault-proxy.ts';
import { Part } from './part.ts';
import type { Targets } from './schedule.ts';
import {
  type ChaosService,
  CLIENTS,
  GATEWAY,
  instanceNames,
  meshDocument,
  NAMESPACE,
  SERVICES,
} from './topology.ts';

const MAIN = join(import.meta.dirname, '../../cli/main.ts');
const APP = join(import.meta.dirname, 'app.ts');
const NAMES = join(import.meta.dirname, 'names.ts');
const TOKEN_MS = 7_200_000;
const DISK_BYTES = 16 * 1024 * 1024;
/** A part that is well again may still be told to be ill by those that called it: health checks, backoffs of clients. */
const SETTLE_MS = 4_000;
/** How long a part may take until it is as before. */
export const RECOVERY_MS = 90_000;

export interface Endpoint {
  readonly name: string;
  readonly service: string;
  readonly app: Part;
  readonly sidecar: Part;
  /** What callers connect to. */
  readonly link: FaultProxy;
}

export interface ControlPlane {
  readonly name: string;
  readonly part: Part;
  readonly link: FaultProxy;
}

/** The running mesh, and what faults may do to it. */
export class ChaosMesh {
  readonly dir = mkdtempSync(join(tmpdir(), 'tulle-chaos-'));
  /** Logs and the state of the control plane: as root a small disk of its own. */
  readonly disk = join(this.dir, 'disk');
  readonly ledgers = join(this.dir, 'ledgers');
  readonly controlPlanes: ControlPlane[] = [];
  readonly endpoints: Endpoint[] = [];
  /** Sidecars that clients call, and the gateway. */
  readonly entries = new Map<string, Part>();
  readonly deaths: string[] = [];
  readonly impairments: Impairment[] = [];
  readonly hasDisk: boolean;
  readonly leafLifeMs: number;
  private isMounted = false;
  private readonly namesFile = join(this.dir, 'names.json');
  private readonly meshFile = join(this.dir, 'mesh.yaml');
  private readonly parts: Part[] = [];
  private readonly links: FaultProxy[] = [];

  private constructor(leafLifeMs: number, hasDisk: boolean) {
    this.leafLifeMs = leafLifeMs;
    this.hasDisk = hasDisk;
    mkdirSync(this.disk);
    mkdirSync(this.ledgers);
    // A run that is interrupted leaves no disk behind either.
    process.once('exit', this.remove);
  }

  /** Starts all processes; resolves when every sidecar is ready. `withDisk`: needs root. */
  static async start(leafLifeMs: number, withDisk: boolean): Promise<ChaosMesh> {
    const mesh = new ChaosMesh(leafLifeMs, withDisk);
    try {
      await mesh.startAll();
      return mesh;
    } catch (error) {
      await mesh.stop();
      throw error;
    }
  }

  get targets(): Targets {
    const services = SERVICES.map(({ name }) => name);
    return {
      endpoint: this.endpoints.map(({ name }) => name),
      entry: [...this.entries.keys()],
      service: services,
      'control-plane': this.controlPlanes.map(({ name }) => name),
      'control-planes': ['control-planes'],
      names: SERVICES.filter(({ named }) => named === true).map(({ name }) => name),
      disk: this.hasDisk ? ['disk'] : [],
      redis: [],
    };
  }

  endpoint(name: string): Endpoint {
    return named(this.endpoints, name);
  }

  endpointsOf(service: string): Endpoint[] {
    return this.endpoints.filter((endpoint) => endpoint.service === service);
  }

  controlPlane(name: string): ControlPlane {
    return named(this.controlPlanes, name);
  }

  entry(name: string): Part {
    const part = this.entries.get(name);
    if (part === undefined) throw new Error(`the mesh has no entry ${name}`);
    return part;
  }

  /** Every data plane, by name. */
  get sidecars(): Part[] {
    return [...this.endpoints.map(({ sidecar }) => sidecar), ...this.entries.values()];
  }

  /** From now on `parts` may fail what goes through them; the answer ends that, after a time to settle. */
  impair(fault: string, parts: readonly string[]): () => void {
    const impairment = { fault, parts, fromMs: nowMs(), toMs: Number.POSITIVE_INFINITY };
    this.impairments.push(impairment);
    return () => {
      impairment.toMs = nowMs() + SETTLE_MS;
    };
  }

  /** Names are resolved, or not. */
  tellNames(lost: boolean): void {
    replaceFile(this.namesFile, JSON.stringify({ lost }));
  }

  /** Waits until a data plane is ready and connected. */
  untilReady(sidecar: Part): Promise<void> {
    return until(`${sidecar.name} to be ready`, () => isWell(sidecar), RECOVERY_MS);
  }

  untilAllReady(): Promise<unknown> {
    return Promise.all(this.sidecars.map((sidecar) => this.untilReady(sidecar)));
  }

  fillDisk(): void {
    const { bavail, bsize } = statfsSync(this.disk);
    for (let left = bavail * bsize, part = 0; left > 0 && part < 64; part++) {
      try {
        writeFileSync(join(this.disk, `filler-${part}`), Buffer.alloc(Math.min(left, DISK_BYTES)));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
      left = statfsSync(this.disk).bavail * bsize;
    }
  }

  freeDisk(): void {
    for (let part = 0; part < 64; part++) rmSync(join(this.disk, `filler-${part}`), { force: true });
  }

  logFile(name: string): string {
    return join(this.disk, `${name}.log`);
  }

  /** Ends every process, frozen ones too. The folder stays. */
  async stop(): Promise<void> {
    await Promise.all(this.parts.map((part) => part.kill()));
    await Promise.all(this.links.map((link) => link.close()));
  }

  /** Takes the folder away, once; `stop` and what is to be kept come before. */
  readonly remove = (): void => {
    process.removeListener('exit', this.remove);
    if (this.isMounted) execFileSync('umount', ['-l', this.disk]);
    this.isMounted = false;
    rmSync(this.dir, { recursive: true, force: true });
  };

  private async startAll(): Promise<void> {
    if (this.hasDisk) execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', this.disk]);
    this.isMounted = this.hasDisk;
    this.tellNames(false);
    replaceFile(this.meshFile, stringify(meshDocument(new Map())));
    // The first one makes the state that the second one shares.
    await this.startControlPlane('control-0');
    await this.startControlPlane('control-1');
    const tokens = await this.mintTokens();
    const joining = (workload: string) => this.joining(tokens, workload);
    await Promise.all(
      SERVICES.flatMap((service) =>
        instanceNames(service).map((name) => this.startEndpoint(service, name, joining)),
      ),
    );
    replaceFile(this.meshFile, stringify(meshDocument(this.addresses())));
    await Promise.all([
      ...CLIENTS.map((name) => this.startClient(name, joining)),
      this.startGateway(joining),
    ]);
    this.endpoints.sort((a, b) => a.name.localeCompare(b.name));
    await this.untilAllReady();
  }

  private addresses(): Map<string, string[]> {
    return new Map(
      SERVICES.map(({ name, named: byName }) => [
        name,
        this.endpointsOf(name).map((endpoint) =>
          byName === true
            ? `${endpoint.name}.chaos.test:${portOf(endpoint.link.address)}`
            : endpoint.link.address,
        ),
      ]),
    );
  }

  private async startControlPlane(name: string): Promise<void> {
    const { meshFile, disk, leafLifeMs } = this;
    const part = this.part(name, () => [
      ...[MAIN, 'control-plane', '--mesh', meshFile, '--state', join(disk, 'state')],
      ...['--listen', String(part.ready.address ?? '127.0.0.1:0'), '--leaf-life', `${leafLifeMs}ms`],
    ]);
    await part.start();
    const link = await this.link(() => String(part.ready.address));
    this.controlPlanes.push({ name, part, link });
  }

  private async startEndpoint(
    { name: service, speaks, calls }: ChaosService,
    name: string,
    joining: (workload: string) => string[],
  ): Promise<void> {
    const ledger = join(this.ledgers, name);
    const app: Part = this.part(`${name}-app`, () => {
      const port = Number(portOf(String(app.ready.address ?? ':0')));
      const outbound = sidecar.ready.outbound;
      const config = {
        service,
        instance: name,
        speaks,
        port,
        ledger,
        ...(calls && { calls }),
        ...(outbound !== undefined && { outbound }),
      };
      return [APP, JSON.stringify(config)];
    });
    const sidecar: Part = this.part(name, () => [
      ...[MAIN, 'sidecar', '--inbound', said(sidecar, 'inbound'), '--outbound', said(sidecar, 'outbound')],
      ...['--admin', said(sidecar, 'admin'), '--workload', `${NAMESPACE}/${service}=${app.ready.address}`],
      ...joining(service),
    ]);
    await app.start();
    await sidecar.start();
    app.send({ outbound: sidecar.ready.outbound });
    const link = await this.link(() => String(sidecar.ready.inbound));
    this.endpoints.push({ name, service, app, sidecar, link });
  }

  private async startClient(name: string, joining: (workload: string) => string[]): Promise<void> {
    const store = `${NAMESPACE}/store`;
    const sidecar: Part = this.part(name, () => {
      const bound = sidecar.ready.outboundServices as Record<string, string> | undefined;
      return [
        ...[MAIN, 'sidecar', '--outbound', said(sidecar, 'outbound'), '--admin', said(sidecar, 'admin')],
        ...['--outbound-service', `${store}=${bound?.[store] ?? '127.0.0.1:0'}`],
        ...['--workload', `${NAMESPACE}/${name}=127.0.0.1:1`, ...joining(name)],
      ];
    });
    this.entries.set(name, sidecar);
    await sidecar.start();
  }

  private async startGateway(joining: (workload: string) => string[]): Promise<void> {
    const gateway: Part = this.part(GATEWAY, () => [
      ...[
        MAIN,
        'sidecar',
        '--workers',
        '1',
        '--gateway',
        said(gateway, 'gateway'),
        '--admin',
        said(gateway, 'admin'),
      ],
      ...['--gateway-name', `${NAMESPACE}/edge`, '--namespace', NAMESPACE, ...joining(GATEWAY)],
    ]);
    this.entries.set(GATEWAY, gateway);
    await gateway.start();
  }

  private async mintTokens(): Promise<string> {
    const tokens = join(this.dir, 'tokens');
    mkdirSync(tokens, { mode: 0o700 });
    for (const name of [GATEWAY, ...CLIENTS, ...SERVICES.map((service) => service.name)]) {
      const token = await mintJoinToken(join(this.disk, 'state'), `${NAMESPACE}/${name}`, TOKEN_MS);
      writeFileSync(join(tokens, name), token, { mode: 0o600 });
    }
    return tokens;
  }

  private joining(tokens: string, workload: string): string[] {
    const planes = this.controlPlanes.flatMap(({ name, link }) => [
      '--control-plane',
      `${name}.chaos.test:${portOf(link.address)}`,
    ]);
    const bundle = String(this.controlPlanes[0]?.part.ready.bundle);
    return [
      ...planes,
      '--bundle',
      bundle,
      '--token-file',
      join(tokens, workload),
      '--max-queue-time',
      '5s',
      '--connect-timeout',
      '10s',
    ];
  }

  private part(name: string, args: () => readonly string[]): Part {
    const part = new Part({
      name,
      args,
      logFile: this.logFile(name),
      env: { TULLE_CHAOS_NAMES: this.namesFile, NODE_OPTIONS: `--import=${NAMES}` },
      onDeath: (what) => this.deaths.push(what),
    });
    this.parts.push(part);
    return part;
  }

  private async link(target: () => string): Promise<FaultProxy> {
    const link = await FaultProxy.open(target);
    this.links.push(link);
    return link;
  }
}

/** The address that a part has had since its first start. */
function said(part: Part, listener: string): string {
  return String(part.ready[listener] ?? '127.0.0.1:0');
}

function named<T extends { readonly name: string }>(list: readonly T[], name: string): T {
  const found = list.find((one) => one.name === name);
  if (found === undefined) throw new Error(`the mesh has no ${name}`);
  return found;
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(':') + 1);
}

function replaceFile(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

/** Ready, and nothing degraded: it has a certificate and a control plane. */
async function isWell(sidecar: Part): Promise<boolean> {
  try {
    const response = await fetch(`http://${sidecar.ready.admin}/readyz`, {
      signal: AbortSignal.timeout(3_000),
    });
    const { ready, degraded } = (await response.json()) as { ready: boolean; degraded: readonly string[] };
    return ready && degraded.length === 0;
  } catch {
    return false;
  }
}
