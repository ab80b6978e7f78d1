import { Field } from '../http/field.ts';
import { HTTP_2, type MessageHead, UNKNOWN_LENGTH } from '../http/message-head.ts';

/** What becomes of a field. */
const KEPT = 0;
/** Not passed on, but still to be read: `host`, which is `authority`. */
const NOT_PASSED = 1;
const REMOVED = 2;
/** Part of a cookie that is whole in another field; only HTTP/2 passes it on (RFC 9113 section 8.2.3). */
const CRUMB = 3;

/** The head of one HTTP/2 message over the fields that HPACK handed out. `fields`: pseudo-header fields first. */
export class Http2Head implements MessageHead {
  readonly version = HTTP_2;
  method = '';
  target = '';
  status = 0;
  authority = '';
  scheme = '';
  requestId = '';
  bodyLength = UNKNOWN_LENGTH;
  upgrade = '';
  /** Its fields are texts of their own. */
  readonly heldBytes = 0;
  readonly fields: readonly Field[];
  /** Number of pseudo-header fields. */
  pseudo = 0;
  private fates: Uint8Array | undefined = undefined;
  /** The field that stands for a cookie in crumbs, and its whole value. */
  private cookieIndex = -1;
  private cookie = '';

  constructor(fields: readonly Field[]) {
    this.fields = fields;
  }

  get count(): number {
    return this.fields.length - this.pseudo;
  }

  name(index: number): string {
    return this.field(index).name;
  }

  value(index: number): string {
    return index === this.cookieIndex ? this.cookie : this.field(index).value;
  }

  keeps(index: number): boolean {
    return this.fates === undefined || this.fates[index] === KEPT;
  }

  /** Whether HTTP/2 passes on header `index`: a cookie's crumbs as they came. */
  keepsField(index: number): boolean {
    if (this.fates === undefined) return true;
    const fate = this.fates[index];
    return fate === KEPT || fate === CRUMB;
  }

  /** Header `index`, as it came. */
  field(index: number): Field {
    return this.fields[this.pseudo + index] as Field; // 0 <= index < count, by contract
  }

  /** The pseudo-header field `name` (with its colon), if it came with `value`. */
  pseudoField(name: string, value: string): Field | undefined {
    for (let index = 0; index < this.pseudo; index++) {
      const field = this.fields[index] as Field; // below pseudo
      if (field.name === name) return field.value === value ? field : undefined;
    }
    return undefined;
  }

  get(name: string): string | undefined {
    const index = this.find(name, 0);
    return index < 0 ? undefined : this.value(index);
  }

  find(name: string, from: number): number {
    const { count } = this;
    for (let index = from; index < count; index++) {
      if (this.field(index).name !== name) continue;
      const fate = this.fates === undefined ? KEPT : this.fates[index];
      if (fate === KEPT || fate === NOT_PASSED) return index;
    }
    return -1;
  }

  remove(name: string): void {
    const { count } = this;
    for (let index = 0; index < count; index++)
      if (this.field(index).name === name) this.mark(index, REMOVED);
  }

  /** Header `index` is read, but not passed on. */
  drop(index: number): void {
    this.mark(index, NOT_PASSED);
  }

  /** Joins a cookie that came in several fields, for whoever knows one `cookie` field only. */
  joinCookies(): void {
    const { count } = this;
    for (let index = 0; index < count; index++) {
      const field = this.field(index);
      if (field.name !== 'cookie') continue;
      if (this.cookieIndex < 0) {
        this.cookieIndex = index;
        this.cookie = field.value;
      } else {
        this.cookie += `; ${field.value}`;
        this.mark(index, CRUMB);
      }
    }
  }

  private mark(index: number, fate: number): void {
    this.fates ??= new Uint8Array(this.count);
    this.fates[index] = fate;
  }
}

const STATUSES: (Field | undefined)[] = [];

/** The one `:status` field of a status: HPACK finds again what is the same object. */
export function statusField(status: number): Field {
  const known = STATUSES[status];
  if (known !== undefined) return known;
  const field = new Field(':status', String(status));
  STATUSES[status] = field;
  return field;
}
