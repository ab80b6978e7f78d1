import { randomBytes } from 'node:crypto';
import type { Sticky } from '../../protocol/steering.ts';
import type { Exchange } from '../exchange.ts';
import { cookieValue } from '../http/cookie.ts';
import { textHash } from '../http/text-hash.ts';
import type { PolicyNote } from '../telemetry/explanation.ts';
import type { Filter } from './filter.ts';

/** How a caller is known again, and the note that says so. */
interface Key {
  readonly note: PolicyNote;
  /** '' where the request has nothing of the kind. */
  read(exchange: Exchange): string;
}

/**
 * Finds what a caller is known again by, for the choice of a backend. `self`: the workload whose calls go out here,
 * `namespace/serviceaccount`.
 */
export function sticky({ by, cookie }: Sticky, self: string, newValue: () => string = randomValue): Filter {
  const keys = by.map((name): Key => ({ read: readerOf(name, self), note: noteOf(`by its ${name}`) }));
  const given = noteOf(`by the cookie ${cookie?.name} that it is given now`);
  return {
    name: 'sticky',
    onRequest(exchange) {
      for (const { read, note } of keys) {
        const key = read(exchange);
        if (key === '') continue;
        exchange.sticky = textHash(key);
        exchange.policies.push(note);
        return undefined;
      }
      if (cookie === undefined) return undefined;
      const value = newValue();
      exchange.sticky = textHash(value);
      exchange.responseFields += cookieLine(cookie, value, exchange.scheme);
      exchange.policies.push(given);
      return undefined;
    },
  };
}

function noteOf(how: string): PolicyNote {
  return { policy: 'sticky', decision: 'kept', detail: `the caller is known again ${how}` };
}

function readerOf(name: string, self: string): Key['read'] {
  if (name === 'ip') return ({ peerAddress }) => peerAddress.replace(/:\d+$/, '');
  if (name === 'client') return ({ listener, peer }) => (listener === 'outbound' ? self : peer);
  const what = name.slice(name.indexOf(':') + 1);
  return name.startsWith('cookie:')
    ? ({ head }) => cookieValue(head, what)
    : (exchange) => exchange.header(what) ?? '';
}

function randomValue(): string {
  return randomBytes(12).toString('base64url');
}

/** It proves nothing and says nothing of the backend: whoever makes one up gets one backend or the other. */
function cookieLine({ name, maxAge }: NonNullable<Sticky['cookie']>, value: string, scheme: string): string {
  const age = maxAge === undefined ? '' : `; Max-Age=${maxAge}`;
  const secure = scheme === 'https' ? '; Secure' : '';
  return `set-cookie: ${name}=${value}; Path=/; HttpOnly; SameSite=Lax${age}${secure}\r\n`;
}
