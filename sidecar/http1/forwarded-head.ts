import { type Head, KEEP } from './head.ts';

/**
 * The header lines of `head` that are passed on, as they came: order, case and spacing unchanged,
 * hop-by-hop and removed ones left out. Ends with the last line's CRLF.
 */
export function forwardedFields(head: Head): string {
  if (!head.dropsSome) return head.text.slice(head.fieldsStart, head.fieldsEnd);
  let fields = '';
  let runStart = head.fieldsStart;
  for (let index = 0; index < head.count; index++) {
    if (head.lines.fate[index] === KEEP) continue;
    fields += head.text.slice(runStart, head.lineStart(index));
    runStart = head.lineStart(index + 1);
  }
  return fields + head.text.slice(runStart, head.fieldsEnd);
}
