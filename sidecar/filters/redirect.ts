import type { RouteMatch, RouteRule } from '../../protocol/route.ts';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import type { Filter } from './filter.ts';
import { prefixReplacer } from './prefix.ts';

type Redirect = NonNullable<RouteRule['redirect']>;

const NO_HOST: LocalAnswer = {
  status: 400,
  code: 'bad-host',
  detail: 'the request names no host, and the redirect of its route leads to the same host',
};

const WELL_KNOWN: Readonly<Record<string, number>> = { http: 80, https: 443 };

/** Answers with a redirect (Gateway API RequestRedirect). `matches`: of its rule. */
export function redirect(to: Redirect, matches: readonly RouteMatch[] = []): Filter {
  const replaced = to.prefix === undefined ? undefined : prefixReplacer(matches, to.prefix);
  return {
    name: 'redirect',
    onRequest(exchange) {
      const scheme = to.scheme ?? exchange.scheme;
      const host = to.hostname ?? exchange.host;
      // HTTP/1.0 may come without Host; `http:///a.example` would lead browsers to a.example.
      if (host === '') return NO_HOST;
      const port = to.port ?? portOf(to, exchange);
      const shownPort = port === 0 || port === WELL_KNOWN[scheme] ? '' : `:${port}`;
      const query = exchange.query === '' ? '' : `?${exchange.query}`;
      const path = to.path ?? replaced?.(exchange.path);
      const target = path === undefined ? exchange.target : path + query;
      return {
        status: to.status ?? 302,
        code: 'redirect',
        detail: exchange.routeWhy,
        fields: `location: ${scheme}://${host}${shownPort}${target}\r\n`,
      };
    },
  };
}

/** The port where the route names none: another scheme has its own, else it is where the request came. 0: not told. */
function portOf(to: Redirect, { listenerPort, head }: Exchange): number {
  if (to.scheme !== undefined) return 0;
  if (listenerPort !== 0) return listenerPort;
  return Number(/:(\d{1,5})$/.exec(head.authority)?.[1] ?? 0);
}
