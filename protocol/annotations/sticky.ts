import { parseDuration } from '../duration.ts';
import { TOKEN } from '../header-rules.ts';
import { showValue } from '../problem.ts';
import type { Sticky } from '../steering.ts';
import type { Parsed } from './parsed.ts';

const MOST = 4;
/** Names that mean something to browsers only with attributes that are not written. */
const PREFIXED = /^__(host|secure|http|host-http)-/i;
const MEANT =
  'write what callers are known again by: client, ip, header:NAME or cookie:NAME, several separated by commas; "set" after a last cookie has Tulle give it to those who have none, like "cookie:canary set 12h"; or off';

/** `header:x-user, ip`, `cookie:canary set`, `cookie:canary set 12h`, or `off`. */
export function parseSticky(text: string): Parsed {
  if (text.trim() === 'off') return { unset: 'sticky' };
  const { list, set, duration } = partsOf(text);
  const keys = list.split(',').map((part) => part.trim());
  const by = keys.map(keyOf);
  const odd = by.indexOf(undefined);
  if (odd >= 0 || keys.length > MOST)
    return { wrong: `has ${showValue(keys[odd] ?? list)}, by which no caller is known`, meant: MEANT };
  const sticky = { by: by.filter((key) => key !== undefined) };
  if (set === undefined) return { sticky };
  const cookie = cookieOf(sticky.by.at(-1) ?? '', duration);
  if (cookie === undefined)
    return { wrong: `has ${showValue(set)}, and no cookie that can be set before it`, meant: MEANT };
  return { sticky: { ...sticky, cookie } };
}

/** Word by word: an expression would try each blank of many as the one before `set`. */
function partsOf(text: string): { list: string; set?: string; duration?: string } {
  const words = text.trim().split(/\s+/);
  const at = [words.length - 2, words.length - 1].find((index) => index > 0 && words[index] === 'set');
  if (at === undefined) return { list: words.join(' ') };
  const duration = words[at + 1];
  return {
    list: words.slice(0, at).join(' '),
    set: words.slice(at).join(' '),
    ...(duration !== undefined && { duration }),
  };
}

function keyOf(text: string): string | undefined {
  if (text === 'client' || text === 'ip') return text;
  const [, kind = '', name = ''] = /^(header|cookie):(\S+)$/.exec(text) ?? [];
  if (!TOKEN.test(name)) return undefined;
  return kind === 'header' ? `header:${name.toLowerCase()}` : `cookie:${name}`;
}

function cookieOf(key: string, duration: string | undefined): Sticky['cookie'] {
  if (!key.startsWith('cookie:')) return undefined;
  const name = key.slice('cookie:'.length);
  if (PREFIXED.test(name)) return undefined;
  if (duration === undefined) return { name };
  const ms = parseDuration(duration);
  return ms === undefined ? undefined : { name, maxAge: Math.ceil(ms / 1000) };
}
