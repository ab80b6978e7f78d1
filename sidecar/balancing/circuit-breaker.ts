import type { CircuitBreakerSettings } from '../../protocol/traffic-policy.ts';
import type { Log } from '../log.ts';
import type { PolicyNote } from '../telemetry/explanation.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import { Circuit } from '../upstream/circuit.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { RollingCount } from '../upstream/rolling-count.ts';
import type { AttemptVerdict } from './attempt-verdict.ts';
import { circuitWords, ejectedWords, failuresWords } from './circuit-words.ts';
import { ejectionMs, highestLevel, levelAfterGoodTime } from './ejection-time.ts';
import { evidenceFor, standsOut } from './stands-out.ts';

/** What an endpoint was ejected for: the probe of one that was half-open failed. */
export type EjectionReason = 'failures' | 'success-rate' | 'probe';

/** Peers are looked at over such a time where the policy names none. */
const WINDOW_MS = 10_000;
/** So many probes must go well, one after the other, before all traffic comes back. */
const PROBES = 3;
/** A probe that takes longer holds up no other: a stream may last for hours. */
const PROBE_MS = 5_000;

interface CircuitBreakerParts {
  readonly service: string;
  readonly wheel: TimerWheel;
  readonly log: Log;
  /** Who is ejected may be another now: `know` is called. */
  readonly onChange: () => void;
  readonly random?: () => number;
}

/**
 * Ejects endpoints of one service that fail, for a while: after so many failures in a row, or for a low success rate,
 * if they stand out from their peers; never more than a share of all, and never the last. After its time an endpoint
 * is half-open and gets single requests as probes.
 */
export class CircuitBreaker {
  /** Endpoints that wait for a request as their probe; the next one goes to the first. */
  readonly awaiting: Endpoint[] = [];
  /** Who is ejected, for the explanations of requests meanwhile; undefined: nobody. */
  note: PolicyNote | undefined = undefined;
  readonly ejections: Record<EjectionReason, number> = { failures: 0, 'success-rate': 0, probe: 0 };
  private readonly parts: CircuitBreakerParts;
  private settings: CircuitBreakerSettings;
  private evidence = 0;
  private halfMs = 0;
  private endpoints: readonly Endpoint[] = [];
  private readonly circuits = new Map<Endpoint, Circuit>();
  /** Of all endpoints but those that are ejected. */
  private readonly total = new RollingCount();
  /** Those of which the last attempt failed, without the ejected. */
  private failing = 0;
  /** Healthy and not ejected. */
  private available = 0;

  constructor(settings: CircuitBreakerSettings, parts: CircuitBreakerParts) {
    this.parts = parts;
    this.settings = settings;
    this.apply(settings);
  }

  private apply(settings: CircuitBreakerSettings): void {
    this.settings = settings;
    this.evidence = evidenceFor(settings.failures);
    const halfMs = (settings.success?.windowMs ?? WINDOW_MS) / 2;
    if (halfMs === this.halfMs) return;
    this.halfMs = halfMs;
    this.total.clear();
    for (const circuit of this.circuits.values()) circuit.counts.clear();
  }

  /** Takes over a new state. Who stays keeps its history; who is ejected beyond what is allowed now comes back. */
  update(endpoints: readonly Endpoint[], settings: CircuitBreakerSettings): void {
    this.apply(settings);
    const stays = new Set(endpoints);
    for (const [endpoint, circuit] of this.circuits) if (!stays.has(endpoint)) this.forget(endpoint, circuit);
    this.failing = [...this.circuits.values()].filter(({ streak }) => streak > 0).length;
    this.parts.onChange();
    this.releaseSurplus();
  }

  /** These are all that may get requests. Told after each change: who stands in for the ejected is one of them. */
  know(endpoints: readonly Endpoint[]): void {
    this.endpoints = endpoints;
    // They may be healthy because nobody checks them any more.
    for (const [endpoint, circuit] of this.circuits)
      if (circuit.state === 'open' && circuit.wheelSlot < 0 && endpoint.healthy)
        this.halfOpen(endpoint, circuit);
    this.available = endpoints.filter((endpoint) => endpoint.available).length;
    const ejected = endpoints.filter(({ circuit }) => circuit?.ejected);
    this.note =
      ejected.length === 0
        ? undefined
        : {
            policy: 'circuit-breaker',
            decision: 'ejected',
            detail: circuitWords(ejected, endpoints.length),
          };
  }

  /** Health checks found something: who is ejected and unhealthy is not probed. */
  healthChanged(): void {
    for (const [endpoint, circuit] of this.circuits)
      if (circuit.state === 'half-open' && !endpoint.healthy) this.stopProbing(endpoint, circuit);
    this.parts.onChange();
  }

  /** Whoever was ejected is so no more, and nothing is remembered. */
  close(): void {
    for (const [endpoint, circuit] of this.circuits) this.forget(endpoint, circuit);
    this.note = undefined;
  }

  private forget(endpoint: Endpoint, circuit: Circuit): void {
    this.parts.wheel.disarm(circuit);
    this.circuits.delete(endpoint);
    this.stopAwaiting(endpoint);
    endpoint.circuit = undefined;
  }

  /** An endpoint whose probe the next request is, and the words for its explanation; `awaiting` has one. */
  takeProbe(): { readonly endpoint: Endpoint; readonly words: string } | undefined {
    const endpoint = this.awaiting.shift();
    const circuit = endpoint?.circuit;
    if (endpoint === undefined || circuit === undefined) return undefined;
    circuit.probing = true;
    circuit.answered = false;
    circuit.probeMs = Number.POSITIVE_INFINITY;
    this.parts.wheel.arm(circuit, PROBE_MS);
    const words = `${endpoint.address} is half-open, and this request a probe of it: ${ejectedWords(circuit)}`;
    return { endpoint, words };
  }

  /**
   * An attempt begins at an endpoint: the probe that was just taken, if there is one. `nowMs` may be earlier than that:
   * an attempt is timed from when its request came.
   */
  began(endpoint: Endpoint, nowMs: number): void {
    const { circuit } = endpoint;
    if (circuit?.probing && circuit.probeMs === Number.POSITIVE_INFINITY) circuit.probeMs = nowMs;
  }

  /** A good head came of an attempt that began at `startedMs`; it goes on. One from before the probe tells nothing. */
  answered({ circuit }: Endpoint, startedMs: number): void {
    if (circuit !== undefined && isProbe(circuit, startedMs)) circuit.answered = true;
  }

  /**
   * An attempt that began at `startedMs` is over. Returns why its endpoint is ejected now, if that is what came of it.
   */
  finished(
    endpoint: Endpoint,
    verdict: AttemptVerdict,
    result: string,
    startedMs: number,
    nowMs: number,
  ): string | undefined {
    const { circuit } = endpoint;
    if (circuit?.ejected) return this.probed(endpoint, circuit, verdict, result, startedMs, nowMs);
    if (verdict === 'failure') return this.failed(endpoint, result, nowMs);
    if (verdict === 'success') this.succeeded(circuit, nowMs);
    return undefined;
  }

  private succeeded(circuit: Circuit | undefined, nowMs: number): void {
    const half = Math.floor(nowMs / this.halfMs);
    this.total.add(half, false);
    if (circuit === undefined) return;
    circuit.counts.add(half, false);
    if (circuit.streak === 0) return;
    circuit.streak = 0;
    circuit.spared = '';
    this.failing--;
  }

  private failed(endpoint: Endpoint, result: string, nowMs: number): string | undefined {
    // One that has left the service meanwhile is nobody's to eject.
    if (endpoint.retired) return undefined;
    const circuit = endpoint.circuit ?? this.introduce(endpoint);
    const half = Math.floor(nowMs / this.halfMs);
    circuit.remember(result);
    this.total.add(half, true);
    circuit.counts.add(half, true);
    if (circuit.streak++ === 0) this.failing++;
    const reason = this.reasonToEject(circuit, half);
    if (reason === undefined) return undefined;
    circuit.spared = this.whySpared(endpoint);
    return circuit.spared === '' ? this.eject(endpoint, circuit, reason, nowMs) : undefined;
  }

  private introduce(endpoint: Endpoint): Circuit {
    const circuit = new Circuit(() => this.onDeadline(endpoint, circuit));
    this.circuits.set(endpoint, circuit);
    endpoint.circuit = circuit;
    return circuit;
  }

  private reasonToEject(circuit: Circuit, half: number): EjectionReason | undefined {
    const { failures: limit, success } = this.settings;
    const { streak, counts } = circuit;
    if (streak < limit && success === undefined) return undefined;
    const peers = this.peersRate(circuit, half);
    const { evidence } = this;
    if (streak >= limit) {
      if (standsOut(streak, streak, peers, evidence)) return 'failures';
      circuit.spared = `its peers fail, too (${Math.round(peers * 100)}%)`;
    }
    if (success === undefined) return undefined;
    const [attempts, failures] = [counts.attemptsAt(half), counts.failuresAt(half)];
    const low = attempts >= success.count && (attempts - failures) * 100 < success.percent * attempts;
    return low && standsOut(failures, attempts, peers, evidence) ? 'success-rate' : undefined;
  }

  /** The share of failures among the others: over the window, or at present where that is worse. */
  private peersRate({ counts, streak }: Circuit, half: number): number {
    const attempts = this.total.attemptsAt(half) - counts.attemptsAt(half);
    const failures = this.total.failuresAt(half) - counts.failuresAt(half);
    const others = this.available - 1;
    const failing = others > 0 ? (this.failing - Number(streak > 0)) / others : 0;
    return Math.min(1, Math.max(attempts > 0 ? failures / attempts : 0, failing));
  }

  /** Those that a health check has taken out count to the share that may be out. */
  private whySpared(endpoint: Endpoint): string {
    const { length } = this.endpoints;
    if (!endpoint.healthy) return 'its health check took it out already';
    if (this.available < 2) return 'it is the last';
    const { maxEjectedPercent } = this.settings;
    const out = length - this.available;
    return out + 1 > this.mostOut ? `${out} of ${length} are out already (max ${maxEjectedPercent}%)` : '';
  }

  private get mostOut(): number {
    const { length } = this.endpoints;
    return Math.min(Math.floor((length * this.settings.maxEjectedPercent) / 100), length - 1);
  }

  private eject(endpoint: Endpoint, circuit: Circuit, reason: EjectionReason, nowMs: number): string {
    const { settings, parts, total } = this;
    const half = Math.floor(nowMs / this.halfMs);
    circuit.why = this.wordsFor(reason, circuit, half);
    if (circuit.streak > 0) this.failing--;
    // A probe that failed has nothing to make up for by the time before it.
    if (reason !== 'probe') {
      circuit.level = levelAfterGoodTime(circuit, nowMs - circuit.sinceMs);
      total.subtract(circuit.counts, half);
    }
    circuit.counts.clear();
    circuit.ejectedMs = ejectionMs(settings, circuit.level, parts.random ?? Math.random);
    circuit.level = Math.min(circuit.level + 1, highestLevel(settings));
    circuit.enter('open', nowMs);
    parts.wheel.arm(circuit, circuit.ejectedMs);
    this.ejections[reason]++;
    this.parts.onChange();
    return this.tellEjected(endpoint, circuit, reason);
  }

  private wordsFor(reason: EjectionReason, circuit: Circuit, half: number): string {
    const { counts, failures, streak } = circuit;
    if (reason === 'probe') return `its probe failed (${failuresWords(failures.slice(-1))})`;
    if (reason === 'failures') return `${streak} failures in a row (${failuresWords(failures)})`;
    const attempts = counts.attemptsAt(half);
    const good = attempts - counts.failuresAt(half);
    return `${good} of ${attempts} requests succeeded of late (${failuresWords(failures)})`;
  }

  private tellEjected({ address }: Endpoint, circuit: Circuit, reason: EjectionReason): string {
    const { service, log } = this.parts;
    const { why, ejectedMs } = circuit;
    const words = `${address} is ejected for ${(ejectedMs / 1000).toFixed(1)} s: ${why}`;
    log.warn({ service, endpoint: address, reason, why, ejectedMs }, `endpoint of ${service}: ${words}`);
    return words;
  }

  // --- the way back ---

  private onDeadline(endpoint: Endpoint, circuit: Circuit): void {
    if (circuit.state === 'open') {
      // Else it is half-open as soon as it is healthy.
      if (endpoint.healthy) this.halfOpen(endpoint, circuit);
    } else if (circuit.answered) this.pass(endpoint, circuit);
    else this.await(endpoint, circuit);
  }

  private halfOpen(endpoint: Endpoint, circuit: Circuit): void {
    circuit.enter('half-open', performance.now());
    this.await(endpoint, circuit);
    const { service, log } = this.parts;
    const { address } = endpoint;
    log.info({ service, endpoint: address }, `endpoint ${address} of ${service} is half-open: it is probed`);
  }

  /** Until it is healthy. */
  private stopProbing(endpoint: Endpoint, circuit: Circuit): void {
    this.parts.wheel.disarm(circuit);
    this.stopAwaiting(endpoint);
    circuit.enter('open', performance.now());
  }

  private await(endpoint: Endpoint, circuit: Circuit): void {
    circuit.probing = false;
    this.awaiting.push(endpoint);
  }

  private stopAwaiting(endpoint: Endpoint): void {
    const index = this.awaiting.indexOf(endpoint);
    if (index >= 0) this.awaiting.splice(index, 1);
  }

  /** Of an endpoint that is ejected only what began since it is half-open counts, and its probe. */
  private probed(
    endpoint: Endpoint,
    circuit: Circuit,
    verdict: AttemptVerdict,
    result: string,
    startedMs: number,
    nowMs: number,
  ): string | undefined {
    if (verdict === 'failure') circuit.remember(result);
    const sinceMs = circuit.probing ? Math.min(circuit.sinceMs, circuit.probeMs) : circuit.sinceMs;
    if (circuit.state === 'open' || startedMs < sinceMs) return undefined;
    if (verdict === 'failure') {
      this.stopAwaiting(endpoint);
      return this.eject(endpoint, circuit, 'probe', nowMs);
    }
    if (!isProbe(circuit, startedMs)) return undefined;
    this.parts.wheel.disarm(circuit);
    if (verdict === 'success') this.pass(endpoint, circuit);
    else this.await(endpoint, circuit);
    return undefined;
  }

  private pass(endpoint: Endpoint, circuit: Circuit): void {
    if (++circuit.passed < PROBES) this.await(endpoint, circuit);
    else this.comeBack(endpoint, circuit, `${PROBES} probes went well`);
  }

  private comeBack(endpoint: Endpoint, circuit: Circuit, why: string): void {
    this.parts.wheel.disarm(circuit);
    this.stopAwaiting(endpoint);
    circuit.enter('closed', performance.now());
    // What it took before says nothing any more: it begins like a new one.
    endpoint.ewmaMs = 0;
    this.parts.onChange();
    const { service, log } = this.parts;
    const { address } = endpoint;
    log.info({ service, endpoint: address, why }, `endpoint ${address} of ${service} is back: ${why}`);
  }

  /** Endpoints went, or less is allowed: those that would be back soonest are. */
  private releaseSurplus(): void {
    const ejected = this.endpoints.filter(({ circuit }) => circuit?.ejected);
    const surplus = ejected.length - this.mostOut;
    if (surplus <= 0) return;
    const dueMs = ({ circuit }: Endpoint) =>
      circuit?.state === 'open' ? circuit.sinceMs + circuit.ejectedMs : 0;
    ejected.sort((one, other) => dueMs(one) - dueMs(other));
    for (const endpoint of ejected.slice(0, surplus))
      if (endpoint.circuit !== undefined)
        this.comeBack(endpoint, endpoint.circuit, 'more would be ejected than may be');
  }
}

/** Whether an attempt that began at `startedMs` is the probe under way, not one from before it. */
function isProbe({ probing, probeMs }: Circuit, startedMs: number): boolean {
  return probing && startedMs >= probeMs;
}
