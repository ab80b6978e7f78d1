import type { DirectResponse } from '../../protocol/steering.ts';
import type { LocalAnswer } from '../exchange.ts';
import type { Filter } from './filter.ts';

/** Answers in place of any server. */
export function directResponse({ status, grpcStatus, headers, body }: DirectResponse): Filter {
  const isType = ([name]: readonly [string, string]) => name.toLowerCase() === 'content-type';
  const lines = headers.filter((header) => !isType(header)).map(([name, value]) => `${name}: ${value}\r\n`);
  const answer: Omit<LocalAnswer, 'detail'> = {
    status,
    ...(grpcStatus !== undefined && { grpcStatus }),
    code: 'direct-response',
    fields: lines.join(''),
    body: {
      type: headers.find(isType)?.[1] ?? 'text/plain; charset=utf-8',
      text: body,
      // Responses are written as latin1: one character a byte.
      bytes: Buffer.from(body).toString('latin1'),
    },
  };
  return {
    name: 'direct-response',
    onRequest: (exchange) => ({ ...answer, detail: exchange.routeWhy }),
  };
}
