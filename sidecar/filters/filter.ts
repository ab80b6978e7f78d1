import type { Exchange, LocalAnswer } from '../exchange.ts';
import type { MessageHead } from '../http/message-head.ts';

/** The filter has called, or will call, `control.resume()` or `control.answer()` later. */
export const LATER = 'later';

/** What a filter may do with an exchange that it holds back. */
export interface ExchangeControl {
  /** Goes on with the next filter. */
  resume(): void;
  answer(answer: LocalAnswer): void;
}

/** Nothing: pass on. An answer: the request goes no further. LATER: it waits for the filter, or for `exchange.holdMs`. */
type Verdict = undefined | LocalAnswer | typeof LATER;

/**
 * One policy, as it acts on a request. The phases come in this order; a filter has those it needs.
 * It is made once for a route when the configuration arrives, and keeps no state of a request.
 */
export interface Filter {
  /** The policy's name in explanations. */
  readonly name: string;
  /** A request head came and its route is known. Runs before an endpoint is chosen. */
  onRequest?(exchange: Exchange, control: ExchangeControl): Verdict;
  /** `exchange.backend` was chosen: what depends on it. Not called for what a route does not choose. */
  onBackend?(exchange: Exchange): void;
  /** A response head came from the upstream; header lines may be removed from it or added to `exchange.responseFields`. */
  onResponse?(exchange: Exchange, head: MessageHead): void;
  /** The exchange is over, whole or not. */
  onEnd?(exchange: Exchange): void;
}

/** The filters of one route, sorted by the phases they take part in. */
export interface FilterChain {
  readonly onRequest: readonly Required<Pick<Filter, 'onRequest'>>[];
  readonly onBackend: readonly Required<Pick<Filter, 'onBackend'>>[];
  readonly onResponse: readonly Required<Pick<Filter, 'onResponse'>>[];
  readonly onEnd: readonly Required<Pick<Filter, 'onEnd'>>[];
  readonly names: readonly string[];
}

/** Composes the chain once, so that a route pays nothing for a phase in which nobody takes part. */
export function composeChain(filters: readonly Filter[]): FilterChain {
  return {
    onRequest: filters.filter(
      (filter): filter is Filter & Required<Pick<Filter, 'onRequest'>> => filter.onRequest !== undefined,
    ),
    onBackend: filters.filter(
      (filter): filter is Filter & Required<Pick<Filter, 'onBackend'>> => filter.onBackend !== undefined,
    ),
    onResponse: filters.filter(
      (filter): filter is Filter & Required<Pick<Filter, 'onResponse'>> => filter.onResponse !== undefined,
    ),
    onEnd: filters.filter(
      (filter): filter is Filter & Required<Pick<Filter, 'onEnd'>> => filter.onEnd !== undefined,
    ),
    names: filters.map((filter) => filter.name),
  };
}
