import { BUCKETS_BYTES, BUCKETS_MS } from '../telemetry/buckets.ts';
import type { EdgeNumbers } from '../telemetry/edge-stats.ts';
import type { Gauges } from '../telemetry/metrics.ts';
import type { ProcessNumbers } from './process-numbers.ts';

/** What one worker counted since its start. */
export interface WorkerNumbers {
  readonly edges: readonly EdgeNumbers[];
  readonly gauges: Gauges;
  readonly process: ProcessNumbers;
}

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;
const isCount = (value: unknown): boolean => typeof value === 'number' && value >= 0;
const areCounts = (value: unknown, length: number): boolean =>
  Array.isArray(value) && value.length === length && value.every(isCount);

/** Numbers that came as JSON; undefined if one of them is none: a sum would never be right again. */
export function readNumbers(value: unknown): WorkerNumbers | undefined {
  if (!isFields(value) || !Array.isArray(value.edges)) return undefined;
  const { edges, gauges, process } = value;
  const fine =
    edges.every(isEdge) && isGauges(gauges) && isFields(process) && Object.values(process).every(isCount);
  return fine ? (value as unknown as WorkerNumbers) : undefined; // looked at just now
}

function isEdge(value: unknown): boolean {
  if (!isFields(value) || !isFields(value.edge) || !Array.isArray(value.outcomes)) return false;
  const { edge, outcomes } = value;
  return (
    (edge.reporter === 'source' || edge.reporter === 'destination') &&
    [edge.source, edge.destination, edge.protocol].every((name) => typeof name === 'string') &&
    typeof edge.mtls === 'boolean' &&
    outcomes.every(isOutcome) &&
    areCounts(value.durations, BUCKETS_MS.length + 1) &&
    areCounts(value.requestSizes, BUCKETS_BYTES.length + 1) &&
    areCounts(value.responseSizes, BUCKETS_BYTES.length + 1) &&
    SUMS.every((name) => isCount(value[name])) &&
    [value.tcpFailures, value.withheld, value.hedges].every(
      (counts) => Array.isArray(counts) && counts.every(isNamedCount),
    )
  );
}

/** The numbers of an edge that stand alone. */
const SUMS = [
  'durationSumMs',
  'requestBytes',
  'responseBytes',
  'requests',
  'retries',
  'delays',
  'tcpOpened',
  'tcpClosed',
  'tcpReceivedBytes',
  'tcpSentBytes',
] as const;

function isNamedCount(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && isCount(value[1]);
}

function areNamedCounts(value: unknown): boolean {
  return isFields(value) && Object.values(value).every(isCount);
}

function isOutcome(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { status, grpcStatus, reason, count } = value;
  const isStatus = Number.isInteger(status) && (status as number) >= 0 && (status as number) < 600;
  return isStatus && Number.isInteger(grpcStatus) && typeof reason === 'string' && isCount(count);
}

function isCheckedEndpoint(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { service, endpoint, healthy } = value;
  return typeof service === 'string' && typeof endpoint === 'string' && typeof healthy === 'boolean';
}

const FIGURES = ['admitted', 'refused', 'dryRun', 'outage', 'waited', 'draws', 'overflow', 'held'] as const;

function isQuotaFigures(value: unknown): boolean {
  return isFields(value) && typeof value.quota === 'string' && FIGURES.every((name) => isCount(value[name]));
}

function isCircuit(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { service, endpoint, ejected } = value;
  return typeof service === 'string' && typeof endpoint === 'string' && typeof ejected === 'boolean';
}

function isGauges(value: unknown): boolean {
  if (!isFields(value)) return false;
  const {
    protections,
    detections,
    detectTimeouts,
    mirrors,
    ejections,
    connections,
    ready,
    controlPlaneConnected,
    certificateSecondsLeft,
    rootSecondsLeft,
  } = value;
  return (
    isCount(connections) &&
    [protections, detections, detectTimeouts, mirrors, ejections].every(areNamedCounts) &&
    Array.isArray(value.quotas) &&
    value.quotas.every(isQuotaFigures) &&
    Array.isArray(value.checkedEndpoints) &&
    value.checkedEndpoints.every(isCheckedEndpoint) &&
    Array.isArray(value.circuits) &&
    value.circuits.every(isCircuit) &&
    Array.isArray(value.panics) &&
    value.panics.every((service) => typeof service === 'string') &&
    typeof ready === 'boolean' &&
    typeof controlPlaneConnected === 'boolean' &&
    [certificateSecondsLeft, rootSecondsLeft].every(
      (seconds) => seconds === undefined || typeof seconds === 'number',
    ) &&
    [value.version, value.trustDomain].every((text) => typeof text === 'string')
  );
}
