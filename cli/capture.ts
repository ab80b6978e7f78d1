import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parseAddressBlocks } from '../injector/address-blocks.ts';
import { capture, type Ran } from '../injector/capture.ts';
import { type CaptureOptions, captureRules, restoreInput } from '../injector/capture-rules.ts';
import { parsePort, parsePortRanges } from '../injector/port-ranges.ts';
import { countOption } from './flags.ts';

/** The highest user id there is; the one after it means "unchanged" (setuid(2)). */
const MAX_UID = 2 ** 32 - 2;

interface CaptureFlags {
  readonly inboundPort: string;
  readonly outboundPort: string;
  readonly proxyUid: string;
  readonly skipInboundPorts: string;
  readonly skipOutboundPorts: string;
  readonly skipOutboundCidrs: string;
  readonly dryRun?: boolean;
}

/** Redirects the connections of this network namespace to its proxy, or prints the rules that would. */
export function captureCommand(flags: CaptureFlags): void {
  const options = captureOptions(flags);
  if (flags.dryRun) {
    for (const family of [4, 6] as const) {
      console.log(`# ${family === 4 ? 'iptables' : 'ip6tables'}-restore --noflush`);
      console.log(restoreInput(captureRules(family, options), ''));
    }
    return;
  }
  for (const line of capture(options, { ipv6Addresses: ipv6Addresses() }, run)) console.log(line);
}

/** The options that flags mean. Throws an Error that names the flag, the value and what was meant. */
export function captureOptions(flags: CaptureFlags): CaptureOptions {
  const inboundPort = parsePort('--inbound-port', flags.inboundPort);
  const outboundPort = parsePort('--outbound-port', flags.outboundPort);
  if (inboundPort === outboundPort) {
    throw new Error(
      `--outbound-port "${flags.outboundPort}" is --inbound-port too; the proxy tells them apart by it`,
    );
  }
  return {
    inboundPort,
    outboundPort,
    // As root it would be past the rules with all that runs as root beside it.
    proxyUid: countOption('--proxy-uid', flags.proxyUid, 1, MAX_UID),
    skipInboundPorts: parsePortRanges('--skip-inbound-ports', flags.skipInboundPorts),
    skipOutboundPorts: parsePortRanges('--skip-outbound-ports', flags.skipOutboundPorts),
    skipOutboundBlocks: parseAddressBlocks('--skip-outbound-cidrs', flags.skipOutboundCidrs),
  };
}

function ipv6Addresses(): string {
  try {
    return readFileSync('/proc/net/if_inet6', 'utf8');
  } catch {
    return ''; // the kernel has no IPv6
  }
}

function run(command: string, args: readonly string[], input: string): Ran {
  const { status, stdout, stderr, error } = spawnSync(command, args, { input, encoding: 'utf8' });
  const missing = (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
  return { ok: status === 0, out: stdout ?? '', err: stderr ?? error?.message ?? '', missing };
}
