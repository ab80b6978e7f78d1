import { parse } from 'yaml';

const BEGIN = '<!-- values: made by `npm run crds` of charts/tulle/values.yaml -->\n';
const END = '<!-- end of values -->';

/** A page with the table of all values in its place. Throws an Error if the page has no place for it. */
export function withValuesTable(page: string, valuesYaml: string): string {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`the page has no ${BEGIN.trim()} and ${END}`);
  return `${page.slice(0, from)}${BEGIN}\n${valuesTable(valuesYaml)}\n${page.slice(to)}`;
}

/**
 * The values of a chart as a Markdown table: the comment above each, and its default. A map with a comment is one
 * value. Throws an Error if a value has no comment.
 */
export function valuesTable(valuesYaml: string): string {
  const values: unknown = parse(valuesYaml);
  const rows: string[][] = [['value', 'default', 'what it is']];
  let [path, comments, told]: [Step[], string[], number] = [[], [], Number.POSITIVE_INFINITY];
  for (const line of valuesYaml.split('\n')) {
    const [, spaces, comment, key, value] = /^( *)(?:# ?(.*)|([\w./-]+):(.*)|.*)$/.exec(line) ?? [];
    const indent = spaces?.length ?? 0;
    if (indent > told) continue;
    if (comment !== undefined) comments.push(comment);
    // Text at the top of the file, not of a value.
    else if (line === '') comments = [];
    else if (key !== undefined) {
      path = [...path.filter((step) => step.indent < indent), { indent, key }];
      const name = path.map((step) => step.key).join('.');
      told = comments.length > 0 ? indent : Number.POSITIVE_INFINITY;
      if (comments.length > 0) rows.push(row(name, valueAt(values, path), comments.join(' ')));
      else if (value?.trim() !== '') throw new Error(`values.yaml says nothing of ${name}`);
      comments = [];
    }
  }
  return table(rows);
}

/** As Biome formats it: all cells of a column have one width. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[], fill = ' ') =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0, fill)).join(' | ')} |\n`;
  const [head = [], ...others] = rows.map((row) => line(row));
  return [
    head,
    line(
      widths.map(() => ''),
      '-',
    ),
    ...others,
  ].join('');
}

interface Step {
  readonly indent: number;
  readonly key: string;
}

function row(name: string, value: unknown, meaning: string): string[] {
  const shown = typeof value === 'string' && value !== '' ? value : JSON.stringify(value);
  return [`\`${name}\``, `\`${shown}\``, meaning];
}

function valueAt(values: unknown, path: readonly Step[]): unknown {
  return path.reduce((value, { key }) => (value as Record<string, unknown>)[key], values);
}
