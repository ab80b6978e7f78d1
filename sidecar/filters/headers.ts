import type { HeaderChanges } from '../../protocol/route.ts';
import type { MessageHead } from '../http/message-head.ts';
import type { Filter } from './filter.ts';

/** Changes request headers as a route asks (Gateway API RequestHeaderModifier). */
export function requestHeaders(changes: HeaderChanges): Filter {
  const compiled = compile(changes);
  return {
    name: 'request-headers',
    onRequest(exchange) {
      apply(compiled, exchange.head);
      exchange.requestFields += compiled.lines;
      return undefined;
    },
  };
}

/** Changes response headers as a route asks (Gateway API ResponseHeaderModifier). */
export function responseHeaders(changes: HeaderChanges): Filter {
  const compiled = compile(changes);
  return {
    name: 'response-headers',
    onResponse(exchange, head) {
      apply(compiled, head);
      exchange.responseFields += compiled.lines;
    },
  };
}

interface Compiled {
  readonly gone: readonly string[];
  readonly lines: string;
}

/** What is set replaces every line of that name; what is added joins them. */
function compile(changes: HeaderChanges): Compiled {
  const set = changes.set ?? [];
  const gone = [...(changes.remove ?? []), ...set.map(([name]) => name)].map((name) => name.toLowerCase());
  const lines = [...set, ...(changes.add ?? [])].map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return { gone, lines };
}

function apply(compiled: Compiled, head: MessageHead): void {
  for (const name of compiled.gone) head.remove(name);
}
