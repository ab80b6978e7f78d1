import { stringify } from 'yaml';

/** The functions of Go's text/template and of Helm that charts/tulle uses; `include` is the evaluator's. */
export const FUNCTIONS: Readonly<Record<string, (...args: readonly unknown[]) => unknown>> = {
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
  not: (value) => !isTrue(value),
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  list: (...values) => values,
  join: (separator, list) => (list as readonly unknown[]).join(String(separator)),
  index: (list, at) => (list as readonly unknown[])[at as number],
  default: (otherwise, value) => (isTrue(value) ? value : otherwise),
  quote: (value) => JSON.stringify(printed(value)),
  // By the rules of YAML 1.1, where on and 0o7 are texts in quotes: what reads manifests is of either kind.
  toYaml: (value) => stringify(value, { version: '1.1', sortMapEntries: true, lineWidth: 0 }).trimEnd(),
  nindent: (columns, text) => `\n${indent(columns as number, text as string)}`,
  fail: (message) => {
    throw new Error(String(message));
  },
};

/** Go's truth: what is empty is not true. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** A value as text. Throws an Error for a list or a map: Go would print its own notation, which is no YAML. */
export function printed(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'object' || typeof value === 'function')
    throw new Error('a list or a map is printed; write toYaml');
  return String(value);
}

function indent(columns: number, text: string): string {
  return text.replace(/^/gm, ' '.repeat(columns));
}
