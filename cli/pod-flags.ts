import { isIP } from 'node:net';
import { parseOpaquePorts } from '../protocol/annotations/simple.ts';
import type { PodOptions, PodProbe } from '../sidecar/listeners/pod.ts';
import { countOption, keyOption, nameOption } from './flags.ts';

/** As `tulle capture` redirects to them. */
const INBOUND_PORT = 4143;
const OUTBOUND_PORT = 4140;
const MAX_PROBES = 256;

/** The pod that flags mean, if there is one. Throws an Error that names the flag, the value and what was meant. */
export function podOption(flags: Partial<Record<string, string>>): PodOptions | undefined {
  const { pod, mtls = 'permissive' } = flags;
  const [ips, serviceAccount] = [flags['pod-ips'], flags['service-account']];
  if (pod === undefined) return undefined;
  if (ips === undefined || serviceAccount === undefined)
    throw new Error("--pod needs --pod-ips and --service-account: the pod's own addresses, and who it is");
  if (mtls !== 'strict' && mtls !== 'permissive')
    throw new Error(`--mtls "${mtls}" is not a mode; write strict or permissive`);
  return {
    key: keyOption('--pod', pod),
    serviceAccount: nameOption('--service-account', serviceAccount),
    ips: ips.split(',').map(ipOption),
    mtls,
    probes: probesOption(flags.probes ?? '[]'),
    opaquePorts: portsOption('--opaque-ports', flags['opaque-ports']),
    inboundPort: portOption('--inbound-port', flags['inbound-port'], INBOUND_PORT),
    outboundPort: portOption('--outbound-port', flags['outbound-port'], OUTBOUND_PORT),
  };
}

function portOption(flag: string, text: string | undefined, initial: number): number {
  return text === undefined ? initial : countOption(flag, text, 0, 65535);
}

function portsOption(flag: string, text: string | undefined): readonly number[] {
  if (text === undefined) return [];
  const read = parseOpaquePorts(text);
  if ('opaquePorts' in read) return read.opaquePorts;
  throw new Error(
    `${flag} "${text}" is not a list of ports; write port numbers from 1 to 65535, like 3306,6379`,
  );
}

/** An IP address in its shortest form: so the kernel's are compared with it. */
function ipOption(text: string): string {
  const family = isIP(text);
  if (family === 0) throw new Error(`--pod-ips "${text}" is not an IP address; write 10.0.0.7 or fd00::7`);
  return family === 6 ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text;
}

function probesOption(text: string): PodProbe[] {
  const wrong = (what: string): Error =>
    new Error(
      `--probes ${what}; write a list like [{"port":8080,"path":"/healthz"},{"port":9000,"grpc":""},{"port":5432,"tcp":true}]`,
    );
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    throw wrong(`"${text.slice(0, 200)}" is not JSON`);
  }
  if (!Array.isArray(list) || list.length > MAX_PROBES) throw wrong(`is not a list of at most ${MAX_PROBES}`);
  return list.map((entry: unknown) => {
    const probe = probeOf(entry);
    if (probe === undefined)
      throw wrong(`has an entry that is no probe: ${JSON.stringify(entry).slice(0, 200)}`);
    return probe;
  });
}

function probeOf(entry: unknown): PodProbe | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined;
  const { port, path, grpc, tcp } = entry as Partial<Record<'port' | 'path' | 'grpc' | 'tcp', unknown>>;
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65535) return undefined;
  if (typeof path === 'string' && path.startsWith('/')) {
    const mark = path.indexOf('?');
    return mark < 0
      ? { port, kind: 'http', path, query: '' }
      : { port, kind: 'http', path: path.slice(0, mark), query: path.slice(mark + 1) };
  }
  if (typeof grpc === 'string') return { port, kind: 'grpc' };
  return tcp === true ? { port, kind: 'tcp' } : undefined;
}
