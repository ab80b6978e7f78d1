import type { RouteRule } from '../../protocol/route.ts';
import type { Filter } from './filter.ts';

type Redirect = NonNullable<RouteRule['redirect']>;

/** Answers with a redirect (Gateway API RequestRedirect). */
export function redirect(to: Redirect): Filter {
  return {
    name: 'redirect',
    onRequest(exchange) {
      const scheme = to.scheme ?? 'http';
      const host = to.hostname ?? exchange.host;
      const port = to.port === undefined ? '' : `:${to.port}`;
      const target = to.path ?? exchange.target;
      return {
        status: to.status ?? 302,
        code: 'redirect',
        detail: exchange.routeWhy,
        fields: `location: ${scheme}://${host}${port}${target}\r\n`,
      };
    },
  };
}
