import type { RouteRule } from '../../protocol/route.ts';
import type { Filter } from './filter.ts';
import { prefixReplacer } from './prefix.ts';

/** Rewrites host or path before the request is forwarded (Gateway API URLRewrite). */
export function rewrite({ rewrite: change, matches }: RouteRule): Filter {
  const replaced = change?.prefix === undefined ? undefined : prefixReplacer(matches, change.prefix);
  return {
    name: 'rewrite',
    onRequest(exchange) {
      if (change?.hostname !== undefined) {
        exchange.head.remove('host');
        exchange.requestFields += `host: ${change.hostname}\r\n`;
      }
      const query = exchange.query === '' ? '' : `?${exchange.query}`;
      if (change?.path !== undefined) exchange.target = change.path + query;
      else if (replaced !== undefined) exchange.target = replaced(exchange.path) + query;
      return undefined;
    },
  };
}
