import { readFileSync } from 'node:fs';
import { parseMesh } from '../protocol/mesh-file.ts';
import { formatProblem, type Problem, withoutCredentials } from '../protocol/problem.ts';

/** So much of a line is shown, around its problem. */
const WIDTH = 120;

/** Checks a mesh.yaml: prints every problem with its line, exits 1 on errors. */
export function checkCommand(file: string, options: { json?: boolean }): void {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
  const { mesh, problems: found } = parseMesh(text, file);
  const problems = [...found].sort(byPlace);
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  if (options.json) console.log(JSON.stringify({ ok: errors === 0, problems }, null, 2));
  else {
    const lines = text.split('\n');
    for (const problem of problems) console.log(showProblem(problem, lines));
    console.log(
      summary(file, mesh?.services.length ?? 0, mesh?.routes.length ?? 0, errors, problems.length - errors),
    );
  }
  if (errors > 0) process.exitCode = 1;
}

function byPlace(a: Problem, b: Problem): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}

/** The problem, the line it is in, and a caret below its place; no line that has a secret in it. */
export function showProblem(problem: Problem, lines: readonly string[]): string {
  const told = `${problem.severity} ${formatProblem(problem)}`;
  const line = problem.line === undefined ? undefined : lines[problem.line - 1];
  if (line === undefined || problem.value.includes('***') || withoutCredentials(line) !== line) return told;
  const at = Math.max(0, (problem.column ?? 1) - 1);
  const from = Math.max(0, at - WIDTH / 2);
  // A tab or a terminal's command in the file is no more than a place here.
  const shown = line.slice(from, from + WIDTH).replace(/\p{Cc}/gu, ' ');
  return `${told}\n    ${shown}\n    ${' '.repeat(at - from)}^`;
}

function summary(file: string, services: number, routes: number, errors: number, warnings: number): string {
  const found = [count(errors, 'error'), count(warnings, 'warning')].join(', ');
  return errors > 0
    ? `${file}: ${found}`
    : `${file}: ok, ${count(services, 'service')}, ${count(routes, 'route')} (${found})`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
