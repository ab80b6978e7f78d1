import type { CorsPolicy } from '../../protocol/route.ts';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import type { MessageHead } from '../http/message-head.ts';
import type { Filter } from './filter.ts';

/** Response headers of the protocol (Fetch standard, section 3.3.3): the route's policy takes the place of the server's. */
const DECIDED = [
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-expose-headers',
];

/**
 * Answers CORS preflights and tells browsers what origins may read the responses (Gateway API CORS). An origin that is
 * not allowed gets no such header: the browser then keeps the response from the page. The request itself is not
 * refused, since anybody but a browser can write what he likes into Origin.
 */
export function cors(policy: CorsPolicy): Filter {
  const allows = originTest(policy.allowOrigins);
  // Who gets the same answer whatever it says need not be told apart by caches.
  const same = policy.allowOrigins.includes('*') && !policy.allowCredentials;
  const vary = same ? '' : 'vary: Origin\r\n';
  const exposed = exposedLine(policy);
  return {
    name: 'cors',
    onRequest(exchange) {
      const origin = exchange.header('origin');
      const allowed = origin !== undefined && allows(origin);
      exchange.responseFields += vary;
      if (allowed) exchange.responseFields += sharedLines(policy, same ? '*' : origin) + exposed;
      const method = exchange.method === 'OPTIONS' && exchange.header('access-control-request-method');
      if (origin === undefined || !method) return undefined;
      return preflightAnswer(exchange, allowed ? preflightLines(policy, exchange, method) : '', origin);
    },
    onResponse(_exchange: Exchange, head: MessageHead) {
      for (const name of DECIDED) head.remove(name);
    },
  };
}

function preflightAnswer({ routeWhy }: Exchange, fields: string, origin: string): LocalAnswer {
  const decision = fields === '' ? 'is not' : 'is';
  const detail = `origin ${origin} ${decision} among those that the route allows: ${routeWhy}`;
  return { status: 200, code: 'cors-preflight', detail, fields, bare: true };
}

function sharedLines({ allowCredentials }: CorsPolicy, origin: string): string {
  const credentials = allowCredentials ? 'access-control-allow-credentials: true\r\n' : '';
  return `access-control-allow-origin: ${origin}\r\n${credentials}`;
}

/** With credentials, * would be the name of a header. */
function exposedLine({ exposeHeaders, allowCredentials }: CorsPolicy): string {
  const names = allowCredentials ? exposeHeaders.filter((name) => name !== '*') : exposeHeaders;
  return line('access-control-expose-headers', names.join(', '));
}

function preflightLines(policy: CorsPolicy, exchange: Exchange, method: string): string {
  const asked = exchange.header('access-control-request-headers') ?? '';
  return (
    line('access-control-allow-methods', told(policy.allowMethods, policy, method)) +
    line('access-control-allow-headers', told(policy.allowHeaders, policy, asked)) +
    `access-control-max-age: ${policy.maxAge}\r\n`
  );
}

/** With credentials, * stands for nothing in browsers: what was asked for is told instead. */
function told(list: readonly string[], { allowCredentials }: CorsPolicy, asked: string): string {
  return allowCredentials && list.includes('*') ? asked : list.join(', ');
}

function line(name: string, value: string): string {
  return value === '' ? '' : `${name}: ${value}\r\n`;
}

/** Whether an origin is one of `patterns`; `*` stands for any number of labels, alone for every origin. */
function originTest(patterns: readonly string[]): (origin: string) => boolean {
  if (patterns.includes('*')) return () => true;
  const exact = new Set(patterns.filter((one) => !one.includes('*')).map(withoutUsualPort));
  const wildcards = patterns.filter((one) => one.includes('*')).map(wildcard);
  return (origin) => {
    const name = withoutUsualPort(origin);
    return exact.has(name) || wildcards.some((one) => one.test(name));
  };
}

function wildcard(pattern: string): RegExp {
  const [before = '', after = ''] = withoutUsualPort(pattern)
    .split('*', 2)
    .map((part) => RegExp.escape(part));
  return new RegExp(`^${before}[a-z0-9.-]+${after}$`);
}

/** `https://a:443` is the same origin as `https://a`. */
function withoutUsualPort(origin: string): string {
  const name = origin.toLowerCase();
  return name.replace(/^(http:.*):80$|^(https:.*):443$/, '$1$2');
}
