import type { Rewrite } from '../../protocol/steering.ts';
import type { Exchange } from '../exchange.ts';
import { withoutDotSegments } from '../http/dot-segments.ts';
import type { MessageHead } from '../http/message-head.ts';
import { matchesExpression, routeExpression } from './expression.ts';
import type { Filter } from './filter.ts';

interface Compiled {
  readonly name: string;
  readonly expression: RegExp;
  readonly replacement: string;
}

/** Rewrites the path and headers of requests, and headers of responses, where an expression matches all of them. */
export function regexRewrite(rewrites: readonly Rewrite[]): Filter {
  const paths = compiled(rewrites, 'path');
  const requests = compiled(rewrites, 'header');
  const responses = compiled(rewrites, 'response-header');
  return {
    name: 'regex-rewrite',
    ...(paths.length + requests.length > 0 && {
      onRequest(exchange: Exchange): undefined {
        for (const one of paths) rewritePath(one, exchange);
        for (const one of requests) exchange.requestFields += rewrittenLines(one, exchange.head);
      },
    }),
    ...(responses.length > 0 && {
      onResponse(exchange: Exchange, head: MessageHead): void {
        for (const one of responses) exchange.responseFields += rewrittenLines(one, head);
      },
    }),
  };
}

function compiled(rewrites: readonly Rewrite[], what: Rewrite['what']): Compiled[] {
  return rewrites
    .filter((one) => one.what === what)
    .map(({ name, expression, replacement }) => ({
      name,
      expression: routeExpression(expression),
      replacement,
    }));
}

/** What callers put into a group must not lead out of the path that it is put into: `/x-../admin` stays as it is. */
function rewritePath({ expression, replacement }: Compiled, exchange: Exchange): void {
  const { target } = exchange;
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  if (!matchesExpression(expression, path)) return;
  const made = path.replace(expression, replacement);
  const rooted = made.startsWith('/') ? made : `/${made}`;
  if (withoutDotSegments(rooted) !== rooted) return;
  exchange.target = mark < 0 ? rooted : rooted + target.slice(mark);
}

/** The lines of a header as they are now, where one of them is another; those that came are then removed. */
function rewrittenLines({ name, expression, replacement }: Compiled, head: MessageHead): string {
  let lines = '';
  let changed = false;
  for (let at = head.find(name, 0); at >= 0; at = head.find(name, at + 1)) {
    const value = head.value(at);
    const matches = matchesExpression(expression, value);
    changed ||= matches;
    lines += `${name}: ${matches ? value.replace(expression, replacement) : value}\r\n`;
  }
  if (!changed) return '';
  head.remove(name);
  return lines;
}
