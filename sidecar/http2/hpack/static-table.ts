import { Field } from '../../http/field.ts';

/** RFC 7541 appendix A: entry 1 first. */
const ENTRIES: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
];

/** The number of entries; the dynamic table's begin after it (section 2.3.3). */
export const STATIC_COUNT = 61;

/** The static table's fields, entry 1 at 0: the same objects for all connections. */
export const STATIC_FIELDS: readonly Field[] = ENTRIES.map(([name, value]) => new Field(name, value));

const INDEX_OF_FIELD = new Map(STATIC_FIELDS.map((field, i) => [field, i + 1]));
/** The first entry of each name: entries of one name follow each other. */
const INDEX_OF_NAME = new Map(STATIC_FIELDS.map(({ name }, i) => [name, i + 1] as const).reverse());

/** The index of a name's first entry, or 0. */
export function staticNameIndex(name: string): number {
  return INDEX_OF_NAME.get(name) ?? 0;
}

/** The index of the entry of this name and value, or 0. `nameIndex`: its name's index. */
export function staticFieldIndex(field: Field, nameIndex: number): number {
  if (nameIndex === 0) return 0;
  const same = INDEX_OF_FIELD.get(field);
  if (same !== undefined) return same;
  for (let index = nameIndex; ; index++) {
    const entry = STATIC_FIELDS[index - 1];
    if (entry === undefined || entry.name !== field.name) return 0;
    if (entry.value === field.value) return index;
  }
}
