import type * as z from 'zod';
import { nearest } from './nearest.ts';
import { type Problem, showValue } from './problem.ts';

type Path = readonly PropertyKey[];
type Issue = z.core.$ZodIssue;

/** Where a value stands in its file. */
export type Locate = (path: Path) => { line: number; column: number } | undefined;

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'a text (put it in quotes)',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

/** Dotted path of a field: `services[0].port`. Keys with dots or slashes stay as they are. */
export function fieldPath(path: Path): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part).slice(0, 100)}`))
    .join('')
    .replace(/^\./, '');
}

/** Turns what a schema found wrong in `value` into problems for the user. */
export function schemaProblems(
  schema: Schema,
  error: z.ZodError,
  value: unknown,
  prefix: Path,
  place: { file: string; object?: string; locate: Locate },
): Problem[] {
  return error.issues
    .flatMap((issue) => issueProblems(schema, issue, value, prefix, []))
    .map(({ path, ...problem }) => {
      const at = place.locate(path);
      return {
        severity: 'error',
        file: place.file,
        ...(place.object !== undefined && { object: place.object }),
        ...(at !== undefined && at),
        field: fieldPath(path),
        ...problem,
      };
    });
}

interface Found {
  readonly path: Path;
  readonly value: string;
  readonly message: string;
  readonly meant: string;
}

/** `inside`: where `root` stands within what the whole schema reads. */
function issueProblems(schema: Schema, issue: Issue, root: unknown, prefix: Path, inside: Path): Found[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) =>
      unknownKey(key, [...path, key], knownKeys(schema, [...inside, ...issue.path])),
    );
  if (issue.code === 'invalid_union') return unionProblems(schema, issue, root, prefix, inside);
  const value = showValue(valueAt(root, issue.path), String(path.at(-1)));
  const [message = '', meant = ''] = wording(issue, value).split('; ', 2);
  return [{ path, value, message: value === '' ? 'is missing' : message, meant }];
}

/** The branch of a union that fits best is the one that was meant: the one with the fewest complaints, or of the value's type. */
function unionProblems(
  schema: Schema,
  issue: Extract<Issue, { code: 'invalid_union' }>,
  root: unknown,
  prefix: Path,
  inside: Path,
): Found[] {
  const value = valueAt(root, issue.path);
  const fitting = issue.errors.filter(
    (errors) => !errors.some((one) => one.code === 'invalid_type' && one.path.length === 0),
  );
  const branches = fitting.length > 0 ? fitting : issue.errors;
  const best = [...branches].sort((a, b) => a.length - b.length)[0];
  if (best === undefined || best.length === 0) {
    const path = [...prefix, ...issue.path];
    const known = 'options' in issue && Array.isArray(issue.options) ? issue.options.join(', ') : '';
    return [
      {
        path,
        value: showValue(value),
        message: value === undefined ? 'is missing' : 'is none of what can stand here',
        meant: known === '' ? '' : `write ${known}`,
      },
    ];
  }
  return best.flatMap((one) =>
    issueProblems(schema, one, value, [...prefix, ...issue.path], [...inside, ...issue.path]),
  );
}

function unknownKey(key: string, path: Path, known: readonly string[]): Found {
  const guess = nearest(key, known);
  const meant =
    guess !== undefined
      ? `perhaps ${guess} was meant`
      : known.length > 0
        ? `known here: ${known.join(', ')}`
        : '';
  return { path, value: '', message: `"${key.slice(0, 60)}" is not a field that is known here`, meant };
}

/** The part of a zod schema's definition that leads to the keys of an object inside it. */
interface Definition {
  readonly shape?: Readonly<Record<string, Schema>>;
  readonly element?: Schema;
  readonly innerType?: Schema;
  readonly in?: Schema;
  readonly options?: readonly Schema[];
}

interface Schema {
  readonly _zod: { readonly def: unknown };
}

/** The keys that an object at `path` of `schema` may have; of a union, those of all its objects. */
function knownKeys(schema: Schema, path: Path): string[] {
  const definition = schema._zod.def as Definition;
  const inner = definition.innerType ?? definition.in;
  if (inner !== undefined) return knownKeys(inner, path);
  if (definition.options !== undefined)
    return definition.options.flatMap((option) => knownKeys(option, path));
  const [first, ...rest] = path;
  if (first === undefined) return Object.keys(definition.shape ?? {});
  const next = typeof first === 'number' ? definition.element : definition.shape?.[String(first)];
  return next === undefined ? [] : knownKeys(next, rest);
}

function wording(issue: Issue, value: string): string {
  // Our own words begin with "is ".
  if (/^(is|has|frames|must) /.test(issue.message)) return issue.message;
  if (issue.code === 'invalid_type') {
    const expected = EXPECTED[issue.expected] ?? issue.expected;
    return value === '' ? `is missing; write ${expected}` : `is not ${expected}`;
  }
  if (issue.code === 'invalid_value') return `is not allowed here; write ${issue.values.join(' or ')}`;
  if (issue.code === 'too_big') return `is too large; at most ${issue.maximum}`;
  if (issue.code === 'too_small') return `is too small; at least ${issue.minimum}`;
  return `is wrong: ${issue.message}`;
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const part of path) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}
