import type { RateLimit } from '../../protocol/traffic-policy.ts';
import type { AdmittedPart } from './admitted.ts';
import type { Demand } from './demand.ts';
import type { Proof } from './sidecar.ts';

/** What a process of sidecars needs to begin. */
export interface Start {
  readonly type: 'start';
  /** Of control planes. */
  readonly addresses: readonly string[];
  /** Its sidecars are those from `first` to before `first + own` of `count`. */
  readonly first: number;
  readonly own: number;
  readonly count: number;
  readonly proof: Proof;
  readonly service: string;
  readonly limit: RateLimit;
  /** When the fleet began, by the monotonic clock of the machine, in ms. */
  readonly startMs: number;
  /** The longest that it is used. */
  readonly lengthMs: number;
}

/** To a process of sidecars. Times in ms since the start. */
export type Order =
  | Start
  | { readonly type: 'run'; readonly fromMs: number; readonly lengthMs: number; readonly demand: Demand };

/** What its sidecars found in one run. */
export interface Findings {
  readonly admitted: AdmittedPart;
  /** By sidecar. */
  readonly each: readonly number[];
  readonly refused: number;
  /** How long those waited that had to, in ms. */
  readonly waitedMs: readonly number[];
  /** How long decisions took that needed no waiting, in us; a sample. */
  readonly decidedUs: readonly number[];
  /** When each sidecar was told of other numbers, in ms since the start. */
  readonly changedMs: readonly number[];
  /** How late the process itself was at worst, in ms: what waited in it waited so much longer. */
  readonly lateMs: number;
}

export type Answer = { readonly type: 'ready' } | { readonly type: 'ran'; readonly findings: Findings };

/** Now by the monotonic clock of the machine, which all its processes have in common, in ms. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
