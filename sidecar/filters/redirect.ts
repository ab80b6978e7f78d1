import type { RouteRule } from '../../protocol/route.ts';
import type { LocalAnswer } from '../exchange.ts';
import type { Filter } from './filter.ts';

type Redirect = NonNullable<RouteRule['redirect']>;

const NO_HOST: LocalAnswer = {
  status: 400,
  code: 'bad-host',
  detail: 'the request names no host, and the redirect of its route leads to the same host',
};

/** Answers with a redirect (Gateway API RequestRedirect). */
export function redirect(to: Redirect): Filter {
  return {
    name: 'redirect',
    onRequest(exchange) {
      const scheme = to.scheme ?? 'http';
      const host = to.hostname ?? exchange.host;
      // HTTP/1.0 may come without Host; `http:///a.example` would lead browsers to a.example.
      if (host === '') return NO_HOST;
      const port = to.port === undefined ? '' : `:${to.port}`;
      const query = exchange.query === '' ? '' : `?${exchange.query}`;
      const target = to.path === undefined ? exchange.target : to.path + query;
      return {
        status: to.status ?? 302,
        code: 'redirect',
        detail: exchange.routeWhy,
        fields: `location: ${scheme}://${host}${port}${target}\r\n`,
      };
    },
  };
}
