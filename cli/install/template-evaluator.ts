import { FUNCTIONS, isTrue, printed } from './template-functions.ts';
import type { Node, Operand, ParsedTemplate, Pipeline } from './template-parser.ts';

type Variables = ReadonlyMap<string, unknown>;

/** Text of a template for a dot. `defined` are the templates of the whole chart. Throws an Error with file and line. */
export function evaluateTemplate(
  { nodes }: ParsedTemplate,
  dot: unknown,
  defined: ReadonlyMap<string, readonly Node[]>,
  file: string,
): string {
  const functions = new Map(Object.entries(FUNCTIONS));
  functions.set('include', (name, inner) => {
    const body = defined.get(String(name));
    if (body === undefined) throw new Error(`no template is named ${printed(name)}`);
    return all(body, inner, new Map([['$', inner]]));
  });

  function all(body: readonly Node[], inner: unknown, outer: Variables): string {
    const variables = new Map(outer);
    return body.map((node) => one(node, inner, variables)).join('');
  }

  function one(node: Node, inner: unknown, variables: Map<string, unknown>): string {
    if ('text' in node) return node.text;
    if ('output' in node) return printed(run(node.output, inner, variables, node.line));
    if ('variable' in node) {
      variables.set(node.variable, run(node.value, inner, variables, node.line));
      return '';
    }
    const value = run(node.on, inner, variables, node.line);
    if (!isTrue(value)) return all(node.otherwise, inner, variables);
    if (node.block === 'if') return all(node.body, inner, variables);
    if (node.block === 'with') return all(node.body, value, variables);
    if (!Array.isArray(value)) throw new Error(`${file}:${node.line}: range is over a list only`);
    return value.map((item) => all(node.body, item, variables)).join('');
  }

  function run(pipeline: Pipeline, inner: unknown, variables: Variables, line: number): unknown {
    try {
      return pipe(pipeline, inner, variables);
    } catch (error) {
      const { message } = error as Error;
      throw new Error(message.startsWith(file) ? message : `${file}:${line}: ${message}`);
    }
  }

  function pipe(pipeline: Pipeline, inner: unknown, variables: Variables): unknown {
    let before: readonly unknown[] = [];
    for (const [first, ...rest] of pipeline) {
      const args = [...rest.map((operand) => resolved(operand, inner, variables)), ...before];
      before = [called(first as Operand, args, inner, variables)];
    }
    return before[0];
  }

  function called(first: Operand, args: readonly unknown[], inner: unknown, variables: Variables): unknown {
    const value = 'name' in first ? functions.get(first.name) : resolved(first, inner, variables);
    if ('name' in first && value === undefined)
      throw new Error(`the function ${first.name} is not known here`);
    if (typeof value === 'function') return value(...args);
    if (args.length > 0) throw new Error('a value is called like a function');
    return value;
  }

  function resolved(operand: Operand, inner: unknown, variables: Variables): unknown {
    if ('literal' in operand) return operand.literal;
    if ('pipeline' in operand) return pipe(operand.pipeline, inner, variables);
    if ('name' in operand) return called(operand, [], inner, variables);
    if (operand.from !== '.' && !variables.has(operand.from)) throw new Error(`${operand.from} is not set`);
    const start = operand.from === '.' ? inner : variables.get(operand.from);
    return operand.path.reduce(field, start);
  }

  return all(nodes, dot, new Map([['$', dot]]));
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) throw new Error(`nothing has a field ${name} here`);
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}
