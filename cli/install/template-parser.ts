/** A value in an action of a template: a literal, a name of a function, a path from the dot or a variable, or `( ... )`. */
export type Operand =
  | { readonly literal: unknown }
  | { readonly name: string }
  | { readonly from: '.' | `$${string}`; readonly path: readonly string[] }
  | { readonly pipeline: Pipeline };

/** Commands of which each is handed what the one before gave, as its last argument. */
export type Pipeline = readonly (readonly Operand[])[];

export type Node =
  | { readonly text: string }
  | { readonly output: Pipeline; readonly line: number }
  | { readonly variable: `$${string}`; readonly value: Pipeline; readonly line: number }
  | {
      readonly block: 'if' | 'with' | 'range';
      readonly on: Pipeline;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
      readonly line: number;
    };

export interface ParsedTemplate {
  readonly nodes: readonly Node[];
  /** What `define` names. */
  readonly defined: ReadonlyMap<string, readonly Node[]>;
}

interface Action {
  readonly words: string;
  readonly line: number;
}

const ACTION = /\{\{(- )?((?:"(?:\\.|[^"\\])*"|\/\*[\s\S]*?\*\/|[^"])*?)( -)?\}\}/g;
const TOKEN = /\s*("(?:\\.|[^"\\])*"|-?\d+(?![\w.])|\$?\w*(?:\.\w+)+|\.|\$\w*|\w+|:=|[()|])/y;

/**
 * Reads the part of Go's text/template that charts/tulle uses: output, `if`, `with`, `range` over a list, `else`,
 * `define`, variables that are set once, and pipelines. Throws an Error with the line of anything else: the chart is
 * then changed, or this is (a test compares with Helm).
 */
export function parseTemplate(source: string, file: string): ParsedTemplate {
  const pieces = cut(source);
  const defined = new Map<string, readonly Node[]>();
  let at = 0;

  function refuse(line: number, what: string): never {
    throw new Error(`${file}:${line}: ${what}`);
  }

  /** Nodes up to an `end` or `else` that is not theirs, which is given too. */
  function block(): { nodes: Node[]; end: Action | undefined } {
    const nodes: Node[] = [];
    while (at < pieces.length) {
      const piece = pieces[at++] as string | Action;
      if (typeof piece === 'string') nodes.push({ text: piece });
      else if (/^(end|else\b.*)$/.test(piece.words)) return { nodes, end: piece };
      else nodes.push(...action(piece));
    }
    return { nodes, end: undefined };
  }

  function action({ words, line }: Action): Node[] {
    if (words.startsWith('/*')) return [];
    const [, keyword, rest = ''] = /^(if|with|range|define)\b(.*)$/s.exec(words) ?? [];
    if (keyword === 'define') {
      defined.set(JSON.parse(rest), closed(line));
      return [];
    }
    if (keyword !== undefined) return [branches(keyword as 'if' | 'with' | 'range', rest, line)];
    const [, variable, value] = /^(\$\w+)\s*:=(.*)$/s.exec(words) ?? [];
    if (variable !== undefined)
      return [{ variable: variable as `$${string}`, value: pipeline(value ?? '', line), line }];
    return [{ output: pipeline(words, line), line }];
  }

  function closed(line: number): readonly Node[] {
    const { nodes, end } = block();
    return end?.words === 'end' ? nodes : refuse(line, 'its end is missing');
  }

  function branches(kind: 'if' | 'with' | 'range', condition: string, line: number): Node {
    const { nodes: body, end } = block();
    if (end === undefined) refuse(line, `the end of ${kind} is missing`);
    return { block: kind, on: pipeline(condition, line), body, otherwise: otherwise(end), line };
  }

  function otherwise({ words, line }: Action): readonly Node[] {
    if (words === 'end') return [];
    if (words === 'else') return closed(line);
    const [, condition] = /^else if\b(.*)$/s.exec(words) ?? [];
    return condition === undefined
      ? refuse(line, `"${words}" is not understood`)
      : [branches('if', condition, line)];
  }

  function pipeline(words: string, line: number): Pipeline {
    try {
      return parsePipeline(tokens(words));
    } catch (error) {
      return refuse(line, `"${words}" is not understood: ${(error as Error).message}`);
    }
  }

  const { nodes, end } = block();
  if (end !== undefined) refuse(end.line, `"${end.words}" belongs to nothing`);
  return { nodes, defined };
}

/** Text and actions in turn; `{{-` and `-}}` have taken the white space beside them. */
function cut(source: string): (string | Action)[] {
  const pieces: (string | Action)[] = [];
  let [from, trim] = [0, false];
  const text = (to: number, trimEnd: boolean) => {
    let piece = source.slice(from, to);
    if (trim) piece = piece.trimStart();
    pieces.push(trimEnd ? piece.trimEnd() : piece);
  };
  for (const match of source.matchAll(ACTION)) {
    const [all, before, words = '', after] = match;
    text(match.index, before !== undefined);
    pieces.push({ words: words.trim(), line: source.slice(0, match.index).split('\n').length });
    [from, trim] = [match.index + all.length, after !== undefined];
  }
  text(source.length, false);
  return pieces;
}

function tokens(words: string): string[] {
  const found: string[] = [];
  const text = words.trimEnd();
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const token = TOKEN.exec(text)?.[1];
    if (token === undefined) throw new Error(`at "${text.slice(at).trim()}"`);
    found.push(token);
  }
  return found;
}

/** Takes the tokens that it reads. */
function parsePipeline(rest: string[], inside = false): Pipeline {
  const commands: Operand[][] = [[]];
  for (;;) {
    const token = rest.shift();
    if (token === undefined || token === ')') {
      if ((token === ')') !== inside) throw new Error('a parenthesis is not closed, or not opened');
      if (commands.some((command) => command.length === 0)) throw new Error('there is nothing to do');
      return commands;
    }
    if (token === '|') commands.push([]);
    else commands.at(-1)?.push(token === '(' ? { pipeline: parsePipeline(rest, true) } : operand(token));
  }
}

function operand(token: string): Operand {
  if (/^["\d-]/.test(token)) return { literal: JSON.parse(token) };
  if (token === 'true' || token === 'false') return { literal: token === 'true' };
  if (token === ':=') throw new Error('a variable is set at the beginning of an action only');
  if (!/^[.$]/.test(token)) {
    if (token.includes('.')) throw new Error(`${token} has no beginning; write a dot or $ before it`);
    return { name: token };
  }
  const [first = '', ...path] = token.split('.').filter((part, index) => index === 0 || part !== '');
  return { from: first === '' ? '.' : (first as `$${string}`), path };
}
