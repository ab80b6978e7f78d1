import type { MessageHead } from '../http/message-head.ts';
import { forwardedFields } from './forwarded-head.ts';
import { Head } from './head.ts';

/** The header lines of a head that are passed on in HTTP/1.1, each with its CRLF; without Host for HTTP/2. */
export function fieldLines(head: MessageHead): string {
  return head instanceof Head ? forwardedFields(head) : linesOf(head);
}

/** Cookies may be split in HTTP/2, but not in HTTP/1.1 (RFC 9113 section 8.2.3). */
function linesOf(head: MessageHead): string {
  let lines = '';
  let cookie = '';
  for (let index = 0; index < head.count; index++) {
    if (!head.keeps(index)) continue;
    const name = head.name(index);
    if (name === 'cookie') cookie += cookie === '' ? head.value(index) : `; ${head.value(index)}`;
    else if (name !== 'host' && name !== 'te') lines += `${name}: ${head.value(index)}\r\n`;
  }
  return cookie === '' ? lines : `${lines}cookie: ${cookie}\r\n`;
}
