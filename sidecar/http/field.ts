/** One header or trailer line. Its name is in lower case; its value is latin1, as on the wire. */
export class Field {
  readonly name: string;
  readonly value: string;
  /** Never to be kept in a compression table (RFC 7541 section 7.1.3). */
  readonly sensitive: boolean;
  /** What the rules of HTTP/2 made of it, so that a field of a compression table is judged once; 0: not yet. */
  rule = 0;

  constructor(name: string, value: string, sensitive = false) {
    this.name = name;
    this.value = value;
    this.sensitive = sensitive;
  }
}

/** Whole header or trailer lines, each with its CRLF. */
export function linesOf(fields: readonly Field[]): string {
  return fields.map(({ name, value }) => `${name}: ${value}\r\n`).join('');
}

/** Reads whole header lines, each with its CRLF, as our own code writes them: `name: value`. */
export function fieldsOf(lines: string): Field[] {
  const fields: Field[] = [];
  for (let at = 0; at < lines.length; ) {
    const colon = lines.indexOf(':', at);
    const end = lines.indexOf('\r\n', at);
    if (colon < 0 || end < colon) break;
    fields.push(new Field(lines.slice(at, colon).toLowerCase(), withoutSpace(lines, colon + 1, end)));
    at = end + 2;
  }
  return fields;
}

/** Without the white space around a value (RFC 9110 section 5.6.3: SP and HTAB, no other). */
function withoutSpace(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
