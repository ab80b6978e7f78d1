import { isIP } from 'node:net';
import { parseOpaquePorts } from './annotations/simple.ts';
import { fewOf } from './few-problems.ts';
import { nearest } from './nearest.ts';
import { type Problem, showValue } from './problem.ts';
import { parseCpu, parseMemory } from './quantity.ts';
import { TRAFFIC_FIELDS } from './traffic-policy.ts';

const PREFIX = 'tulle.dev/';
const MAX_TEXT = 4096;
const MAX_WORKERS = 64;
/** What a proxy without any traffic holds is 66 MB. */
const LEAST_MEMORY = 64 * 1024 * 1024;
const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
const IMAGE =
  /^(?:[a-zA-Z0-9.-]+(?::\d{1,5})?\/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;

/** How the proxy of one pod runs: the pod's annotations over its namespace's. Quantities as Kubernetes writes them. */
export interface ProxySettings {
  readonly cpuRequest?: string;
  readonly cpuLimit?: string;
  readonly memoryRequest?: string;
  readonly memoryLimit?: string;
  readonly image?: string;
  readonly logLevel?: (typeof LOG_LEVELS)[number];
  readonly workers?: number;
  readonly skipInboundPorts?: readonly number[];
  readonly skipOutboundPorts?: readonly number[];
  readonly skipOutboundCidrs?: readonly string[];
  readonly opaquePorts?: readonly number[];
  readonly accessLog?: boolean;
  /** 0 to 1. */
  readonly traceSample?: number;
  readonly nativeSidecar?: boolean;
}

type Read = ProxySettings | { readonly wrong: string; readonly meant: string };

const QUANTITY_MEANT = {
  cpu: 'write cores or thousandths, like 100m or 0.5',
  memory: 'write bytes with a unit, like 96Mi',
};

/** The pod's own annotations (DESIGN section 7), each with what reads it. */
const PARSERS: Readonly<Record<string, (text: string) => Read>> = {
  'proxy-cpu-request': (text) => cpu(text, 'cpuRequest'),
  'proxy-cpu-limit': (text) => cpu(text, 'cpuLimit'),
  'proxy-memory-request': (text) => memory(text, 'memoryRequest', 1),
  'proxy-memory-limit': (text) => memory(text, 'memoryLimit', LEAST_MEMORY),
  'proxy-image': (text) =>
    text.length <= 500 && IMAGE.test(text)
      ? { image: text }
      : { wrong: 'is not an image', meant: 'write a reference like registry.example/tulle:0.1.0' },
  'proxy-log-level': (text) => {
    const logLevel = LOG_LEVELS.find((level) => level === text);
    return logLevel === undefined
      ? { wrong: 'is not a log level', meant: `write ${LOG_LEVELS.join(', ')}` }
      : { logLevel };
  },
  'proxy-workers': (text) =>
    /^\d{1,2}$/.test(text) && Number(text) >= 1 && Number(text) <= MAX_WORKERS
      ? { workers: Number(text) }
      : { wrong: 'is not a number of processes', meant: `write a whole number from 1 to ${MAX_WORKERS}` },
  'skip-inbound-ports': (text) => ports(text, 'skipInboundPorts'),
  'skip-outbound-ports': (text) => ports(text, 'skipOutboundPorts'),
  'skip-outbound-cidrs': parseCidrs,
  'opaque-ports': (text) => ports(text, 'opaquePorts'),
  'access-log': (text) =>
    text === 'on' || text === 'off'
      ? { accessLog: text === 'on' }
      : { wrong: 'is not a switch', meant: 'write "on" or "off", in quotes' },
  'trace-sample': (text) => {
    const percent = Number(/^(\d{1,3}(?:\.\d{1,4})?)%$/.exec(text)?.[1]);
    return percent <= 100
      ? { traceSample: percent / 100 }
      : { wrong: 'is not a share', meant: 'write a percentage from 0% to 100%, like 1%' };
  },
  'native-sidecar': (text) =>
    text === 'enabled' || text === 'disabled'
      ? { nativeSidecar: text === 'enabled' }
      : { wrong: 'is not a switch', meant: 'write enabled or disabled' },
};

/** Their names without prefix. `inject` is a label, and known so that it is told where it belongs. */
export const POD_ANNOTATIONS: readonly string[] = ['inject', ...Object.keys(PARSERS)];

/** What Tulle itself writes on pods. */
const WRITTEN = ['proxy-version', 'changes'];

export interface ProxySettingsWithProblems {
  readonly settings: ProxySettings;
  readonly problems: readonly Problem[];
}

/** Reads the annotations about the proxy over `base`; a wrong value is a problem and leaves its field as it was. */
export function parsePodAnnotations(
  annotations: Readonly<Record<string, string>>,
  base: ProxySettings = {},
): ProxySettingsWithProblems {
  let settings = base;
  const problems: Problem[] = [];
  for (const [field, parse] of Object.entries(PARSERS)) {
    const name = `${PREFIX}${field}`;
    const text = Object.hasOwn(annotations, name) ? annotations[name] : undefined;
    if (text === undefined) continue;
    const read: Read =
      text.length > MAX_TEXT
        ? { wrong: `has more than ${MAX_TEXT} characters`, meant: 'write less' }
        : parse(text.trim());
    if ('wrong' in read) problems.push(problem('error', name, text, read.wrong, read.meant));
    else settings = { ...settings, ...read };
    if ('traceSample' in read)
      problems.push(problem('warning', name, text, 'is understood, but not enforced by this version', ''));
  }
  return { settings, problems };
}

/** Annotations on a pod that say nothing there: misspelled ones, and those of a Service. */
export function strayPodAnnotations(annotations: Readonly<Record<string, string>>): Problem[] {
  const stray = Object.entries(annotations).flatMap(([name, text]): [string, string][] => {
    const field = name.slice(PREFIX.length);
    const isKnown = !name.startsWith(PREFIX) || Object.hasOwn(PARSERS, field) || WRITTEN.includes(field);
    return isKnown ? [] : [[field, text]];
  });
  return fewOf(stray, (field, text) => problem('error', `${PREFIX}${field}`, text, ...strayWords(field)));
}

function strayWords(field: string): [wrong: string, meant: string] {
  if (field === 'inject')
    return ['stands at an annotation, and is read as a label', `write it in the pod's metadata.labels`];
  if ((TRAFFIC_FIELDS as readonly string[]).includes(field))
    return [`does nothing on a pod: tulle.dev/${field} is read on a Service or Namespace`, 'write it there'];
  const guess = nearest(field, Object.keys(PARSERS));
  return [
    `stands at an annotation that does not exist: ${PREFIX}${field.slice(0, 90)}`,
    guess === undefined
      ? `known on pods are ${Object.keys(PARSERS).join(', ')}`
      : `perhaps ${PREFIX}${guess} was meant`,
  ];
}

function problem(
  severity: Problem['severity'],
  name: string,
  text: string,
  message: string,
  meant: string,
): Problem {
  const value = showValue(text, name.slice(PREFIX.length));
  return { severity, field: `annotations.${name.slice(0, 110)}`, value, message, meant };
}

function cpu(text: string, field: 'cpuRequest' | 'cpuLimit'): Read {
  const cores = parseCpu(text);
  return cores !== undefined && cores > 0
    ? { [field]: text }
    : { wrong: 'is not an amount of CPU', meant: QUANTITY_MEANT.cpu };
}

function memory(text: string, field: 'memoryRequest' | 'memoryLimit', least: number): Read {
  const bytes = parseMemory(text);
  if (bytes === undefined) return { wrong: 'is not an amount of memory', meant: QUANTITY_MEANT.memory };
  return bytes >= least
    ? { [field]: text }
    : { wrong: 'is less than a proxy needs to start', meant: 'write 64Mi or more' };
}

function ports(text: string, field: 'skipInboundPorts' | 'skipOutboundPorts' | 'opaquePorts'): Read {
  const read = parseOpaquePorts(text);
  return 'opaquePorts' in read
    ? { [field]: read.opaquePorts }
    : { wrong: 'is not a list of ports', meant: 'write port numbers from 1 to 65535, like "3306,6379"' };
}

function parseCidrs(text: string): Read {
  const skipOutboundCidrs = text.split(',').map((part) => part.trim());
  const odd = skipOutboundCidrs.find((part) => !isCidr(part));
  return odd === undefined
    ? { skipOutboundCidrs }
    : {
        wrong: `has ${showValue(odd)}, which is no range of addresses`,
        meant: 'write ranges like "10.0.0.0/8, fd00::/8"',
      };
}

function isCidr(text: string): boolean {
  const [, address = '', length = ''] = /^([0-9a-fA-F:.]{2,45})\/(\d{1,3})$/.exec(text) ?? [];
  const version = isIP(address);
  return version !== 0 && Number(length) <= (version === 4 ? 32 : 128);
}
