import type { HeaderChanges } from '../../protocol/route.ts';
import type { MessageHead } from '../http/message-head.ts';
import type { Filter } from './filter.ts';

/** Changes request headers as a route asks (Gateway API RequestHeaderModifier). */
export function requestHeaders(changes: HeaderChanges): Filter {
  const compiled = compileChanges(changes);
  return {
    name: 'request-headers',
    onRequest(exchange) {
      exchange.requestFields = changeHeaders(compiled, exchange.head, exchange.requestFields);
      return undefined;
    },
  };
}

/** Changes response headers as a route asks (Gateway API ResponseHeaderModifier). */
export function responseHeaders(changes: HeaderChanges): Filter {
  const compiled = compileChanges(changes);
  return {
    name: 'response-headers',
    onResponse(exchange, head) {
      exchange.responseFields = changeHeaders(compiled, head, exchange.responseFields);
    },
  };
}

export interface CompiledChanges {
  /** Lower case. */
  readonly gone: readonly string[];
  readonly lines: string;
}

/** What is set replaces every line of that name; what is added joins them. */
export function compileChanges(changes: HeaderChanges): CompiledChanges {
  const set = changes.set ?? [];
  const gone = [...(changes.remove ?? []), ...set.map(([name]) => name)].map((name) => name.toLowerCase());
  const lines = [...set, ...(changes.add ?? [])].map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return { gone, lines };
}

/** Changes what came in `head` and what others have added to it; returns the lines that are added now. */
export function changeHeaders({ gone, lines }: CompiledChanges, head: MessageHead, added: string): string {
  for (const name of gone) head.remove(name);
  return added === '' ? lines : withoutLines(added, gone) + lines;
}

function withoutLines(added: string, names: readonly string[]): string {
  const text = added.toLowerCase();
  if (!names.some((name) => text.includes(`${name}:`))) return added;
  const kept = added
    .split('\r\n')
    .filter((line) => !names.includes(line.slice(0, line.indexOf(':')).toLowerCase()));
  return kept.join('\r\n');
}
