import { isWorkload } from '../protocol/spiffe.ts';
import { startSidecar } from '../sidecar/main.ts';
import type { SidecarOptions } from '../sidecar/options.ts';
import { addressOption, durationOption, logLevelOption } from './flags.ts';
import { createLog } from './log.ts';
import { onStop } from './stop.ts';

/** What commander read of the flags of `tulle sidecar`. */
export interface SidecarFlags {
  standalone?: string;
  controlPlane?: string[];
  bundle?: string;
  tokenFile?: string;
  identity?: string;
  workload?: string;
  serviceAccount?: string;
  inbound?: string;
  outbound?: string;
  gateway?: string;
  gatewayName?: string;
  admin?: string;
  namespace?: string;
  drain: string;
  accessLog?: boolean;
  logLevel: string;
}

/** The options that flags mean. Throws an Error that names the flag, the value and what was meant. */
export function sidecarOptions(flags: SidecarFlags): SidecarOptions {
  const { standalone, controlPlane, inbound, outbound, gateway } = flags;
  if ((standalone === undefined) === (controlPlane === undefined)) {
    throw new Error('give either --standalone MESH.YAML or --control-plane HOST:PORT');
  }
  if (inbound === undefined && outbound === undefined && gateway === undefined) {
    throw new Error('nothing to listen on: give --inbound, --outbound or --gateway with HOST:PORT');
  }
  const drainMs = durationOption('--drain', flags.drain);
  return {
    ...(standalone !== undefined && { standalone }),
    ...(controlPlane !== undefined && { controlPlane: controlPlane.map((address) => addressOption('--control-plane', address)) }),
    ...(flags.bundle !== undefined && { bundleFile: flags.bundle }),
    ...(flags.tokenFile !== undefined && { tokenFile: flags.tokenFile }),
    ...(flags.identity !== undefined && { identity: identityOption(flags.identity) }),
    ...(flags.workload !== undefined && { workload: workloadOption(flags.workload, flags.serviceAccount) }),
    ...(inbound !== undefined && { inbound: addressOption('--inbound', inbound) }),
    ...(outbound !== undefined && { outbound: addressOption('--outbound', outbound) }),
    ...(gateway !== undefined && { gateway: addressOption('--gateway', gateway) }),
    ...(flags.gatewayName !== undefined && { gatewayName: flags.gatewayName }),
    ...(flags.admin !== undefined && { admin: addressOption('--admin', flags.admin) }),
    ...(flags.namespace !== undefined && { namespace: flags.namespace }),
    drainMs,
    accessLog: flags.accessLog ?? false,
    logLevel: logLevelOption(flags.logLevel),
  };
}

function identityOption(text: string): NonNullable<SidecarOptions['identity']> {
  const [cert = '', key = '', bundle = '', ...rest] = text.split(',');
  if (cert === '' || key === '' || bundle === '' || rest.length > 0) {
    throw new Error(`--identity "${text}" is not three files; write CERT,KEY,BUNDLE`);
  }
  return { cert, key, bundle };
}

function workloadOption(text: string, serviceAccount: string | undefined): NonNullable<SidecarOptions['workload']> {
  const [service = '', address = '', ...rest] = text.split('=');
  if (!isWorkload(service) || rest.length > 0) {
    throw new Error(`--workload "${text}" is not a workload; write NAMESPACE/NAME=HOST:PORT, like shop/orders=127.0.0.1:9001`);
  }
  return { service, address: addressOption('--workload', address), ...(serviceAccount !== undefined && { serviceAccount }) };
}

/** Runs a data plane until it is told to stop; prints one line of JSON once it accepts. */
export async function sidecarCommand(flags: SidecarFlags): Promise<void> {
  const options = sidecarOptions(flags);
  const sidecar = await startSidecar(options, createLog(options.logLevel ?? 'info'));
  console.log(JSON.stringify({ event: 'ready', pid: process.pid, ...sidecar.addresses }));
  onStop(() => sidecar.drain());
}

