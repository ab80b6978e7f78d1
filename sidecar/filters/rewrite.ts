import type { RouteRule } from '../../protocol/route.ts';
import type { Filter } from './filter.ts';

/** Rewrites host or path before the request is forwarded (Gateway API URLRewrite). */
export function rewrite(rule: RouteRule): Filter {
  const { rewrite: change } = rule;
  const prefixes = rule.matches
    .flatMap(({ path }) => (path?.type === 'PathPrefix' ? [path.value] : []))
    .sort((a, b) => b.length - a.length);
  return {
    name: 'rewrite',
    onRequest(exchange) {
      if (change?.hostname !== undefined) {
        exchange.head.remove('host');
        exchange.requestFields += `host: ${change.hostname}\r\n`;
      }
      const query = exchange.query === '' ? '' : `?${exchange.query}`;
      if (change?.path !== undefined) exchange.target = change.path + query;
      else if (change?.prefix !== undefined) {
        // A rule may match several prefixes: the longest that the path has is the one that matched.
        const prefix = prefixes.find((one) => hasPrefix(exchange.path, one)) ?? '/';
        exchange.target = replacePrefix(exchange.path, prefix, change.prefix) + query;
      }
      return undefined;
    },
  };
}

/** Whether `path` is `prefix` or below it. */
function hasPrefix(path: string, prefix: string): boolean {
  const whole = prefix.replace(/\/$/, '');
  return path.startsWith(whole) && (path.length === whole.length || path[whole.length] === '/');
}

/** Replaces whole segments: /v1 by /v2 makes /v2/a of /v1/a, and / of /v1 by /. */
export function replacePrefix(path: string, prefix: string, replacement: string): string {
  const from = prefix.replace(/\/$/, '');
  const to = replacement.replace(/\/$/, '');
  const rest = path.slice(from.length);
  if (rest === '') return to === '' ? '/' : to;
  return to + (rest.startsWith('/') ? rest : `/${rest}`);
}
