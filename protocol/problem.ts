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
const URL_WITH_CREDENTIALS = /^([a-z][a-z0-9+.-]*:\/\/)[^@/\s]*@/i;

/** One line: `mesh.yaml:12:7 services[0].port: "http" is not a port number; write a whole number from 1 to 65535, like 8080`. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, field, message, meant, value } = problem;
  const place = [file, line, column].filter((part) => part !== undefined).join(':');
  const where = [place, field].filter((part) => part !== '').join(' ');
  const what = value === '' ? message : `${value} ${message}`;
  return `${where}: ${what}${meant === '' ? '' : `; ${meant}`}`;
}

/** Shows a value for a message: JSON, shortened, credentials blotted out. */
export function showValue(value: unknown, field = ''): string {
  if (value === undefined) return '';
  if (typeof value === 'string' && SECRET_FIELD.test(field))
    return quote(value.replace(URL_WITH_CREDENTIALS, '$1***@'), !value.includes('://'));
  if (typeof value === 'string') return quote(value.replace(URL_WITH_CREDENTIALS, '$1***@'), false);
  if (value !== null && typeof value === 'object') return Array.isArray(value) ? 'a list' : 'a mapping';
  return shorten(String(value));
}

function quote(text: string, hide: boolean): string {
  return hide ? '"***"' : shorten(JSON.stringify(text));
}

function shorten(text: string): string {
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}...` : text;
}
