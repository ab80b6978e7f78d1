import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { isWorkload } from '../protocol/spiffe.ts';
import { startSidecar } from '../sidecar/main.ts';
import { type Running, type SidecarOptions, WORKER_VARIABLE } from '../sidecar/options.ts';
import { anyAddress, hasIpv6 } from '../sidecar/transport/any-address.ts';
import {
  addressOption,
  countOption,
  durationOption,
  durationOrNoneOption,
  keyOption,
  logLevelOption,
  nameOption,
  peerAddressOption,
} from './flags.ts';
import { createLog, type Log } from './log.ts';
import { podOption } from './pod-flags.ts';
import { parseSidecarFlags, type SidecarFlags } from './sidecar-flags.ts';
import { onStop } from './stop.ts';

const MAX_WORKERS = 64;

/** The options that flags mean. Throws an Error that names the flag, the value and what was meant. */
export function sidecarOptions(given: SidecarFlags): SidecarOptions {
  const flags = texts(given);
  const [standalone, inbound, outbound, gateway] = [
    flags.standalone,
    flags.inbound,
    flags.outbound,
    flags.gateway,
  ];
  const controlPlane = list(given['control-plane']);
  if ((standalone === undefined) === (controlPlane === undefined)) {
    throw new Error('give either --standalone MESH.YAML or --control-plane HOST:PORT');
  }
  const outboundServices = list(given['outbound-service'])?.map(outboundServiceOption);
  const pod = podOption(flags);
  const gatewayListen = gatewayListenOption(flags);
  if ([inbound, outbound, gateway, gatewayListen, outboundServices, pod].every((one) => one === undefined)) {
    throw new Error(
      'nothing to listen on: give --inbound, --outbound, --outbound-service or --gateway with HOST:PORT, --gateway-listen, or --pod',
    );
  }
  if (pod !== undefined && (inbound ?? outbound ?? flags.workload) !== undefined)
    throw new Error(
      '--pod captures what --inbound, --outbound and --workload are told: give it without them',
    );
  if (flags['service-account'] !== undefined && flags.workload === undefined && pod === undefined) {
    throw new Error('--service-account is that of --workload or --pod: give both');
  }
  return {
    ...(standalone !== undefined && { standalone }),
    ...(controlPlane !== undefined && {
      controlPlane: controlPlane.map((address) => peerAddressOption('--control-plane', address)),
    }),
    ...(flags.bundle !== undefined && { bundleFile: flags.bundle }),
    ...(flags['token-file'] !== undefined && { tokenFile: flags['token-file'] }),
    ...(flags.identity !== undefined && { identity: identityOption(flags.identity) }),
    ...(flags.workload !== undefined && {
      workload: workloadOption(flags.workload, flags['service-account']),
    }),
    ...(pod !== undefined && { pod }),
    ...(inbound !== undefined && { inbound: addressOption('--inbound', inbound) }),
    ...(outbound !== undefined && { outbound: addressOption('--outbound', outbound) }),
    ...(outboundServices !== undefined && { outboundServices }),
    ...(gateway !== undefined && { gateway: addressOption('--gateway', gateway) }),
    ...(gatewayListen !== undefined && { gatewayListen }),
    ...(flags['gateway-name'] !== undefined && {
      gatewayName: keyOption('--gateway-name', flags['gateway-name']),
    }),
    ...(flags.health !== undefined && {
      health: anyAddress(countOption('--health', flags.health, 0, 65535)),
    }),
    ...(flags.admin !== undefined && { admin: addressOption('--admin', flags.admin) }),
    ...(flags.namespace !== undefined && { namespace: nameOption('--namespace', flags.namespace) }),
    ...(flags.zone !== undefined && { zone: flags.zone }),
    ...(flags.drain !== undefined && { drainMs: durationOption('--drain', flags.drain) }),
    ...(flags['connect-timeout'] !== undefined && {
      connectMs: durationOption('--connect-timeout', flags['connect-timeout']),
    }),
    ...(flags['max-queue-time'] !== undefined && {
      maxQueueMs: durationOrNoneOption('--max-queue-time', flags['max-queue-time']),
    }),
    ...(flags['detect-timeout'] !== undefined && {
      detectMs: durationOption('--detect-timeout', flags['detect-timeout']),
    }),
    ...(flags['tcp-idle-timeout'] !== undefined && {
      tcpIdleMs: durationOrNoneOption('--tcp-idle-timeout', flags['tcp-idle-timeout']),
    }),
    limits: limitsOption(flags),
    accessLog: given['access-log'] === true,
  };
}

/** Where the ports of a Gateway are opened, if they are. */
function gatewayListenOption(flags: Texts): string | undefined {
  const { gateway } = flags;
  const ip = flags['gateway-listen'];
  if (ip === undefined) return undefined;
  if (gateway !== undefined)
    throw new Error("--gateway-listen opens the ports of the Gateway's listeners: give it without --gateway");
  if (ip === '*') return hasIpv6() ? '[::]' : '0.0.0.0';
  const family = isIP(ip.replace(/^\[(.*)\]$/, '$1'));
  if (family === 0)
    throw new Error(`--gateway-listen "${ip}" is not an IP address; write 0.0.0.0, or * for all interfaces`);
  return family === 6 && !ip.startsWith('[') ? `[${ip}]` : ip;
}

/** What the engine takes from clients. A connection has memory for as many header lines as are allowed. */
function limitsOption(flags: Texts): NonNullable<SidecarOptions['limits']> {
  const {
    'max-head-bytes': head,
    'max-headers': headers,
    'head-timeout': slow,
    'idle-timeout': idle,
  } = flags;
  return {
    ...(head !== undefined && { headBytes: countOption('--max-head-bytes', head, 256, 1024 * 1024) }),
    ...(headers !== undefined && { headers: countOption('--max-headers', headers, 1, 1000) }),
    ...(slow !== undefined && { headMs: durationOption('--head-timeout', slow) }),
    ...(idle !== undefined && { idleMs: durationOption('--idle-timeout', idle) }),
  };
}

type Texts = Partial<Record<string, string>>;

/** The flags that have one value. */
function texts(flags: SidecarFlags): Texts {
  return Object.fromEntries(
    Object.entries(flags).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function list(value: SidecarFlags[string]): string[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

function identityOption(text: string): NonNullable<SidecarOptions['identity']> {
  const [cert = '', key = '', bundle = '', ...rest] = text.split(',');
  if (cert === '' || key === '' || bundle === '' || rest.length > 0) {
    throw new Error(`--identity "${text}" is not three files; write CERT,KEY,BUNDLE`);
  }
  return { cert, key, bundle };
}

function outboundServiceOption(text: string): NonNullable<SidecarOptions['outboundServices']>[number] {
  const [service = '', address = '', ...rest] = text.split('=');
  if (!isWorkload(service) || rest.length > 0) {
    throw new Error(
      `--outbound-service "${text}" is not a service and an address; write NAMESPACE/NAME=HOST:PORT, like shop/db=127.0.0.1:5432`,
    );
  }
  return { service, address: addressOption('--outbound-service', address) };
}

function workloadOption(
  text: string,
  serviceAccount: string | undefined,
): NonNullable<SidecarOptions['workload']> {
  const [service = '', address = '', ...rest] = text.split('=');
  if (!isWorkload(service) || rest.length > 0) {
    throw new Error(
      `--workload "${text}" is not a workload; write NAMESPACE/NAME=HOST:PORT, like shop/orders=127.0.0.1:9001`,
    );
  }
  return {
    service,
    address: peerAddressOption('--workload', address),
    ...(serviceAccount !== undefined && {
      serviceAccount: nameOption('--service-account', serviceAccount),
    }),
  };
}

/** How many processes share the addresses. A gateway has its machine for itself, a sidecar has not. */
export function workersOption(given: SidecarFlags, cores: number): number {
  const { workers, gateway, 'gateway-listen': gatewayListen, inbound, outbound } = texts(given);
  if (workers !== undefined) return countOption('--workers', workers, 1, MAX_WORKERS);
  const isGateway =
    (gateway ?? gatewayListen) !== undefined && inbound === undefined && outbound === undefined;
  return isGateway ? Math.min(cores, MAX_WORKERS) : 1;
}

/** Cores that workers may use. Elsewhere than on Linux a port is not always shared: nothing there starts by default. */
function sharingCores(): number {
  return process.platform === 'linux' ? availableParallelism() : 1;
}

/** Runs a data plane until it is told to stop; prints one line of JSON once it accepts. */
export async function sidecarCommand(args: readonly string[]): Promise<void> {
  const flags = parseSidecarFlags(args);
  const log = createLog(logLevelOption(String(flags['log-level'])));
  const options = sidecarOptions(flags);
  const workers = workersOption(flags, sharingCores());
  const place = process.env[WORKER_VARIABLE];
  if (place !== undefined) {
    const { runWorker } = await import('../sidecar/workers/worker.ts');
    runWorker(place, options, log, startSidecar);
    return;
  }
  const running =
    workers > 1 ? await startShared(workers, options, args, log) : await startSidecar(options, log);
  const shared = workers > 1 ? { workers } : {};
  console.log(JSON.stringify({ event: 'ready', pid: process.pid, ...running.addresses, ...shared }));
  onStop(() => running.drain());
}

async function startShared(
  workers: number,
  options: SidecarOptions,
  args: readonly string[],
  log: Log,
): Promise<Running> {
  const { startWorkers } = await import('../sidecar/workers/supervisor.ts');
  const entry = { script: process.argv[1] ?? '', args: ['sidecar', ...args] };
  return startWorkers(workers, options, entry, log);
}
