/** Something wrong in what a user wrote, told so that it can be mended without reading our code. */
export interface Problem {
  /** Errors are refused; warnings are taken, but mean something else than was perhaps thought. */
  readonly severity: 'error' | 'warning';
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  /** Like `Service shop/orders`. */
  readonly object?: string;
  /** Dotted path. */
  readonly field: string;
  /** The value as written, shortened; never a secret. */
  readonly value: string;
  /** What is wrong, as the rest of a sentence that begins with the value. */
  readonly message: string;
  /** What would be right, as the rest of a sentence after "write". */
  readonly meant: string;
}

const MAX_VALUE = 60;
const SECRET_FIELD = /token|secret|password|key$|store$/i;
/** What could end the line, or make a terminal do something. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** One line: `mesh.yaml:12:7 services[0].port: "http" is not a port number; write a whole number from 1 to 65535, like 8080`. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, field, message, meant, value } = problem;
  const place = [file, line, column].filter((part) => part !== undefined).join(':');
  const where = [place, field].filter((part) => part !== '').join(' ');
  const what = value === '' ? message : `${value} ${message}`;
  return `${where}: ${what}${meant === '' ? '' : `; ${meant}`}`.replace(
    INVISIBLE,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}

/** Shows a value for a message: JSON, shortened, credentials blotted out. */
export function showValue(value: unknown, field = ''): string {
  if (value === undefined) return '';
  if (value !== null && typeof value === 'object') return Array.isArray(value) ? 'a list' : 'a mapping';
  const text = String(value);
  if (SECRET_FIELD.test(field) && !text.includes('://')) return '"***"';
  return shorten(typeof value === 'string' ? JSON.stringify(withoutCredentials(text)) : text);
}

/**
 * A text in which the credentials of a URL are blotted out, to the last @: a password may have an @, a / or a space in
 * it; and all of its query, in which some write them. No regular expression: texts come from strangers and may be long, and it would try each of a thousand "://".
 */
export function withoutCredentials(text: string): string {
  const begin = text.indexOf('://');
  const end = text.lastIndexOf('@');
  if (begin < 0) return text;
  const named = end < begin + 3 ? text : `${text.slice(0, begin)}://***@${text.slice(end + 1)}`;
  const query = named.indexOf('?', begin);
  return query < 0 ? named : `${named.slice(0, query)}?***`;
}

function shorten(text: string): string {
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}...` : text;
}
