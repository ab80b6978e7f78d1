import type { Fault } from '../../protocol/steering.ts';
import type { Exchange } from '../exchange.ts';
import { type Filter, LATER } from './filter.ts';

/** Delays or aborts a share of the requests on purpose. */
export function fault({ share, delayMs, abort, header }: Fault, random: () => number = Math.random): Filter {
  const asked =
    header === undefined
      ? ''
      : ` with header ${header.name}${header.value === undefined ? '' : `: ${header.value}`}`;
  const whose = `${Number((share * 100).toFixed(4))}% of requests${asked}`;
  return {
    name: 'fault',
    onRequest(exchange) {
      if (header !== undefined && !carries(exchange, header)) return undefined;
      if (random() >= share) return undefined;
      if (delayMs !== undefined) {
        exchange.note('fault', 'delayed', `by ${delayMs} ms on purpose, as ${whose} are`);
        exchange.delays++;
        exchange.holdMs = delayMs;
        return LATER;
      }
      if (abort === undefined) return undefined;
      exchange.note('fault', 'aborted', `on purpose, as ${whose} are`);
      const detail = `aborted on purpose, as ${whose} are: ${exchange.routeWhy}`;
      return { ...abort, code: 'fault-abort', detail };
    },
  };
}

function carries(exchange: Exchange, { name, value }: NonNullable<Fault['header']>): boolean {
  const given = exchange.header(name);
  return given !== undefined && (value === undefined || given === value);
}
