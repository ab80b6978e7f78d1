import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { mintJoinToken } from '../../control-plane/authority/join-token.ts';
import { until } from '../fixture/wait.ts';
import { type Impairment, nowMs } from './evidence.ts';
import { FaultProxy } from './fault-proxy.ts';
import { lostLookupsFile } from './lost-lookups.ts';
import { Part } from './part.ts';
import { RedisServer } from './redis-server.ts';
import type { Targets } from './schedule.ts';
import {
  type ChaosService,
  CLIENTS,
  GATEWAY,
  instanceNames,
  meshDocument,
  NAMESPACE,
  SERVICES,
  type StormQuota,
} from './topology.ts';

const MAIN = join(import.meta.dirname, '../../cli/main.ts');
const APP = join(import.meta.dirname, 'app.ts');
const NAMES = join(import.meta.dirname, 'names.ts');
const TOKEN_MS = 7_200_000;
const DISK_BYTES = 16 * 1024 * 1024;
const PAGE_BYTES = 4096;
/** A part that is well again may still be told to be ill by those that called it: pools, health checks. */
const SETTLE_MS = 1_000;
/** Certificates take so long to end, at most. */
const ORPHANED_MS = 600_000;
/** Certificates may end meanwhile, and then come the ejections that they caused. */
const TAKEN_MS = 240_000;
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

export interface MeshOptions {
  readonly leafLifeMs: number;
  /** Needs root. */
  readonly withDisk: boolean;
  readonly quota: StormQuota;
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
  /** No control plane is there for long: who is started then waits for one. */
  isOrphaned = false;
  private starting = 0;
  readonly redis: RedisServer;
  private readonly leafLifeMs: number;
  private readonly quota: StormQuota;
  private redisProxy: FaultProxy | undefined = undefined;
  private isMounted = false;
  private readonly namesFile = join(this.dir, 'names.json');
  private readonly meshFile = join(this.dir, 'mesh.yaml');
  private readonly parts: Part[] = [];
  private readonly links: FaultProxy[] = [];

  private constructor({ leafLifeMs, withDisk, quota }: MeshOptions) {
    this.leafLifeMs = leafLifeMs;
    this.hasDisk = withDisk;
    this.quota = quota;
    mkdirSync(this.disk);
    mkdirSync(this.ledgers);
    const dir = join(this.dir, 'redis');
    mkdirSync(dir);
    const onDeath = (what: string): void => void this.deaths.push(what);
    this.redis = new RedisServer({ dir, logFile: this.logFile('redis'), onDeath });
    // A run that is interrupted leaves no disk behind either.
    process.once('exit', this.remove);
  }

  /** Starts all processes; resolves when every sidecar is ready. */
  static async start(options: MeshOptions): Promise<ChaosMesh> {
    const mesh = new ChaosMesh(options);
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
      redis: ['redis'],
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

  /** Between the control planes and Redis. */
  get redisLink(): FaultProxy {
    if (this.redisProxy === undefined) throw new Error('Redis has no link yet');
    return this.redisProxy;
  }

  /** Every data plane, by name. */
  get sidecars(): Part[] {
    return [...this.endpoints.map(({ sidecar }) => sidecar), ...this.entries.values()];
  }

  /** From now on, or in `inMs`, `parts` may fail what goes through them; the answer ends that, after a time to settle. */
  impair(fault: string, parts: readonly string[], inMs = 0): (settleMs?: number) => void {
    const impairment = { fault, parts, fromMs: nowMs() + inMs, toMs: Number.POSITIVE_INFINITY };
    this.impairments.push(impairment);
    return (settleMs = SETTLE_MS) => {
      impairment.toMs = nowMs() + settleMs;
    };
  }

  /** Restarts a data plane by `restart` when control planes are there, so that it gets a certificate before long. */
  async restarting(restart: () => Promise<string>): Promise<string> {
    await until('a control plane to be there', () => !this.isOrphaned, ORPHANED_MS);
    this.starting++;
    try {
      return await restart();
    } finally {
      this.starting--;
    }
  }

  /** From now on no data plane is restarted; resolves when none is any more. */
  async orphan(): Promise<void> {
    this.isOrphaned = true;
    await until('all data planes to be started', () => this.starting === 0, RECOVERY_MS);
  }

  /** Names are resolved, or not. */
  tellNames(lost: boolean): void {
    replaceFile(this.namesFile, JSON.stringify({ lost }));
  }

  /**
   * Waits until callers use all endpoints of a service again: none is ejected, nor out by a health check. Of opaque bytes
   * a connection lasts, so that nothing probes an endpoint: that is not waited for.
   */
  async untilTaken(service: string): Promise<void> {
    if (SERVICES.some(({ name, speaks }) => name === service && speaks === 'tcp')) return;
    const key = `${NAMESPACE}/${service}`;
    const isTaken = async (): Promise<boolean> =>
      (await Promise.all(this.sidecars.map((sidecar) => takesAll(sidecar, key)))).every((takes) => takes);
    await until(`all endpoints of ${service} to be used`, isTaken, TAKEN_MS);
  }

  /** How many names could not be resolved, since the start. */
  get lostLookups(): number {
    const file = lostLookupsFile(this.namesFile);
    return existsSync(file) ? statSync(file).size : 0;
  }

  /** Waits until a data plane is ready and connected. */
  untilReady(sidecar: Part): Promise<void> {
    return until(`${sidecar.name} to be ready`, () => isWell(sidecar), RECOVERY_MS);
  }

  /** The services that a data plane knows. It learns of them by their first use. */
  async servicesKnownTo(part: Part): Promise<ReadonlySet<string>> {
    const config = await asked<ServicesInUse>(part, '/config');
    const known = config?.services.filter(({ endpoints }) => endpoints !== undefined) ?? [];
    return new Set(known.map(({ key }) => key));
  }

  /** Waits until a data plane that began anew knows what it knew: without a control plane it could not learn it. */
  async untilKnows(part: Part, services: ReadonlySet<string>): Promise<void> {
    const knows = async (): Promise<boolean> => services.isSubsetOf(await this.servicesKnownTo(part));
    await until(`${part.name} to know ${[...services].join(', ')}`, knows, RECOVERY_MS);
  }

  /** Waits until a data plane serves, with a control plane or without. */
  untilServing(sidecar: Part): Promise<void> {
    return until(`${sidecar.name} to serve`, () => isServing(sidecar), RECOVERY_MS);
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

  /** Whether not even a page can be written. */
  get isDiskFull(): boolean {
    const probe = join(this.disk, 'probe');
    try {
      writeFileSync(probe, Buffer.alloc(PAGE_BYTES));
      return false;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ENOSPC';
    } finally {
      rmSync(probe, { force: true });
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
    await Promise.all([...this.parts, this.redis].map((part) => part.kill()));
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
    await this.redis.start();
    this.redisProxy = await this.link(() => this.redis.socketFile);
    this.writeMesh(new Map());
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
    this.writeMesh(this.addresses());
    await Promise.all([
      ...CLIENTS.map((name) => this.startClient(name, joining)),
      this.startGateway(joining),
    ]);
    this.endpoints.sort((a, b) => a.name.localeCompare(b.name));
    await this.untilAllReady();
  }

  private writeMesh(endpoints: ReadonlyMap<string, readonly string[]>): void {
    const document = meshDocument(endpoints, this.redisLink.address, this.quota);
    replaceFile(this.meshFile, stringify(document));
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

/** When its certificate ends, in ms from now; 'none': it has none; undefined: it does not answer. */
export async function certificateLeftMs(sidecar: Part): Promise<number | 'none' | undefined> {
  const certs = await asked<{ chain?: readonly { readonly notAfter: string }[] }>(sidecar, '/certs');
  if (certs === undefined) return undefined;
  const notAfter = certs.chain?.[0]?.notAfter;
  return notAfter === undefined ? 'none' : Date.parse(notAfter) - Date.now();
}

interface Readiness {
  readonly ready: boolean;
  readonly degraded: readonly string[];
}

/** Ready, and nothing degraded: it has a certificate and a control plane. */
async function isWell(sidecar: Part): Promise<boolean> {
  const readiness = await asked<Readiness>(sidecar, '/readyz');
  return readiness?.ready === true && readiness.degraded.length === 0;
}

/** It serves, whatever it knows of control planes. */
async function isServing(sidecar: Part): Promise<boolean> {
  return (await asked<Readiness>(sidecar, '/readyz'))?.ready === true;
}

interface ServicesInUse {
  readonly services: readonly {
    readonly key: string;
    readonly endpoints?: readonly {
      readonly circuit?: { readonly state: string };
      readonly health?: { readonly healthy: boolean };
    }[];
  }[];
}

/** One that does not answer is ill itself. */
async function takesAll(sidecar: Part, key: string): Promise<boolean> {
  const config = await asked<ServicesInUse>(sidecar, '/config');
  const endpoints = config?.services.find((service) => service.key === key)?.endpoints ?? [];
  return endpoints.every(
    ({ circuit, health }) => (circuit?.state ?? 'closed') === 'closed' && health?.healthy !== false,
  );
}

/** What the admin port of a data plane says; undefined: nothing. */
async function asked<T>({ ready }: Part, path: string): Promise<T | undefined> {
  try {
    const response = await fetch(`http://${ready.admin}${path}`, { signal: AbortSignal.timeout(3_000) });
    return (await response.json()) as T;
  } catch {
    return undefined;
  }
}
