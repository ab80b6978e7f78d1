import type { MessageHead } from './message-head.ts';

/** The value of a cookie of a request, '' where it has none (RFC 6265 section 5.4). The first of a name counts. */
export function cookieValue(head: MessageHead, name: string): string {
  for (let at = head.find('cookie', 0); at >= 0; at = head.find('cookie', at + 1)) {
    const value = valueIn(head.value(at), name);
    if (value !== '') return value;
  }
  return '';
}

function valueIn(line: string, name: string): string {
  for (let from = 0; from < line.length; ) {
    const semicolon = line.indexOf(';', from);
    const end = semicolon < 0 ? line.length : semicolon;
    while (line[from] === ' ') from++;
    const equals = from + name.length;
    if (equals < end && line[equals] === '=' && line.startsWith(name, from)) {
      const value = line.slice(equals + 1, end).trim();
      if (value !== '') return value;
    }
    from = end + 1;
  }
  return '';
}
