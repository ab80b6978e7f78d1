import type { Readiness } from '../listeners/admin-views.ts';

/** What is known of one worker when readiness is asked for. */
export type WorkerState =
  /** It accepts, and this is what it says. */
  | { readonly number: number; readonly state: 'answered'; readonly readiness: Readiness }
  /** It has its part of the connections, and says nothing. */
  | { readonly number: number; readonly state: 'silent' }
  /** It is gone: the kernel gives its part to the others. */
  | { readonly number: number; readonly state: 'away'; readonly why: string };

/**
 * Readiness of several workers as one: all that accept must be ready. One that is started again takes no
 * connections and fails none, so that the data plane is degraded only, as long as another one accepts.
 */
export function mergedReadiness(workers: readonly WorkerState[]): Readiness {
  const reasons: [number, string][] = [];
  const degraded: [number, string][] = [];
  const noneAccepts = workers.every(({ state }) => state === 'away');
  for (const worker of workers) {
    const { number } = worker;
    if (worker.state === 'silent') reasons.push([number, 'does not answer']);
    else if (worker.state === 'away') (noneAccepts ? reasons : degraded).push([number, worker.why]);
    else {
      reasons.push(...worker.readiness.reasons.map((text): [number, string] => [number, text]));
      degraded.push(...worker.readiness.degraded.map((text): [number, string] => [number, text]));
    }
  }
  return { ready: reasons.length === 0, reasons: told(reasons), degraded: told(degraded) };
}

/** The same of several workers is said once. */
function told(said: readonly [number: number, text: string][]): string[] {
  const byText = Map.groupBy(said, ([, text]) => text);
  return [...byText].map(([text, from]) => {
    const numbers = from.map(([number]) => number);
    return `${numbers.length > 1 ? 'workers' : 'worker'} ${numbers.join(', ')}: ${text}`;
  });
}
