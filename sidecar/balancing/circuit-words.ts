import type { Circuit, RecordedFailure } from '../upstream/circuit.ts';
import type { Endpoint } from '../upstream/endpoint.ts';

/** So many endpoints are named. */
const NAMED = 3;

/** `503 at 12:00:01.250Z, connect-failed at 12:00:02.000Z`. */
export function failuresWords(failures: readonly RecordedFailure[]): string {
  return failures
    .map(({ result, atMs }) => `${result} at ${new Date(atMs).toISOString().slice(11)}`)
    .join(', ');
}

/** `ejected for 5.2 s for 5 failures in a row (...)`. */
export function ejectedWords({ why, ejectedMs }: Pick<Circuit, 'why' | 'ejectedMs'>): string {
  return `ejected for ${(ejectedMs / 1000).toFixed(1)} s: ${why}`;
}

/** Who is ejected, and what opened each circuit. */
export function circuitWords(ejected: readonly Endpoint[], of: number): string {
  const named = ejected
    .slice(0, NAMED)
    .flatMap(({ address, circuit }) =>
      circuit ? [`${address} ${circuit.state}, ${ejectedWords(circuit)}`] : [],
    );
  const more = ejected.length > NAMED ? `; and ${ejected.length - NAMED} more` : '';
  return `${ejected.length} of ${of} endpoints: ${named.join('; ')}${more}`;
}
