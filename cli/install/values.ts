/** Values of a chart: a tree of maps, lists, texts, numbers and booleans. */
export interface Values {
  readonly [name: string]: unknown;
}

/** Values with others laid over them: maps are merged, everything else is replaced, null takes a default away. */
export function overlay(values: Values, over: Values): Values {
  const merged: Record<string, unknown> = { ...values };
  for (const [name, value] of Object.entries(over)) {
    const below = merged[name];
    if (isMap(value)) merged[name] = overlay(isMap(below) ? below : {}, value);
    else merged[name] = value;
  }
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null));
}

/**
 * Values of `--set a.b=1,c[0]=x,d={e,f}`, in Helm's grammar: `\` takes the meaning of a character away; true, false,
 * null and whole numbers are what they look like, everything else is text. Throws an Error that says what is wrong.
 */
export function setValues(values: Values, assignments: string): Values {
  return split(assignments, ',').reduce((before, assignment) => {
    const [path, ...rest] = split(assignment, '=');
    if (path === undefined || path === '' || rest.length === 0)
      throw new Error(`--set "${assignment}" sets nothing; write NAME=VALUE, like image.tag=1.2.3`);
    return put(before, steps(path, assignment), typed(rest.join('='))) as Values;
  }, values);
}

/** Parts of a text between separators that stand neither behind a `\` nor in braces. */
function split(text: string, separator: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const [character] of text.matchAll(/\\.|./gs)) {
    if (character === '{') depth++;
    if (character === '}') depth--;
    if (character === separator && depth === 0) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts;
}

/** The way to a value: names, and numbers of items. */
function steps(path: string, assignment: string): (string | number)[] {
  return split(path, '.').flatMap((part) => {
    const [, name = '', items = ''] = /^((?:\\.|[^[\]\\])+)((?:\[\d{1,3}\])*)$/.exec(part) ?? [];
    // Such a name would change what every object of JavaScript has.
    if (name === '' || name === '__proto__')
      throw new Error(`--set "${assignment}" has no name that can be set`);
    return [plain(name), ...Array.from(items.matchAll(/\d+/g), ([index]) => Number(index))];
  });
}

function put(into: unknown, [step, ...rest]: readonly (string | number)[], value: unknown): unknown {
  if (step === undefined) return value;
  if (typeof step === 'string') {
    const map = isMap(into) ? into : {};
    return { ...map, [step]: put(Object.hasOwn(map, step) ? map[step] : undefined, rest, value) };
  }
  const list = Array.isArray(into) ? [...into] : [];
  list[step] = put(list[step], rest, value);
  return Array.from(list, (item) => item ?? null);
}

function typed(text: string): unknown {
  const [, items] = /^\{(.*)\}$/s.exec(text) ?? [];
  if (items !== undefined) return split(items, ',').map(typed);
  if (text === 'true' || text === 'false') return text === 'true';
  if (text === 'null') return null;
  return /^(0|-?[1-9]\d{0,14})$/.test(text) ? Number(text) : plain(text);
}

function plain(text: string): string {
  return text.replace(/\\(.)/gs, '$1');
}

function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
