import { parse } from 'yaml';
import { formatProblem } from '../../protocol/problem.ts';
import { schemaProblems } from '../../protocol/schema-problems.ts';
import type { Chart } from './chart.ts';
import { evaluateTemplate } from './template-evaluator.ts';
import { type Node, parseTemplate } from './template-parser.ts';
import type { Values } from './values.ts';
import { valuesSchema } from './values-schema.ts';

const NAMESPACE = 'tulle-system';

/** Kinds in the order in which they are made, as far as it matters: what others are in or refer to comes first. */
const FIRST = [
  'Namespace',
  'NetworkPolicy',
  'PodDisruptionBudget',
  'ServiceAccount',
  'CustomResourceDefinition',
];
/** Pods ask for the webhooks: these come when all that answers is there. */
const LAST = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'];

export interface Rendering {
  /** All values, defaults among them. */
  readonly values: Values;
  /** What the cluster serves besides Kubernetes' own, as GROUP/VERSION/KIND. */
  readonly apiVersions: readonly string[];
}

/** The manifests of a chart as YAML documents, in the order in which to apply them. Throws an Error that says what to write. */
export function renderChart(chart: Chart, { values, apiVersions }: Rendering): string[] {
  refuseWrong(values);
  const parsed = [...chart.templates]
    .filter(([name]) => name !== 'NOTES.txt')
    .map(([name, text]) => ({ name, template: parseTemplate(text, `templates/${name}`) }));
  const defined = new Map<string, readonly Node[]>(parsed.flatMap(({ template }) => [...template.defined]));
  const dot = {
    Values: values,
    Chart: chart.about,
    Release: { Name: 'tulle', Namespace: NAMESPACE, Service: 'Helm' },
    Capabilities: { APIVersions: { Has: (name: unknown) => apiVersions.includes(String(name)) } },
  };
  const documents = parsed
    .filter(({ name }) => name.endsWith('.yaml'))
    .flatMap(({ name, template }) => {
      const file = `templates/${name}`;
      return documentsOf(evaluateTemplate(template, dot, defined, file), file);
    });
  return documents.sort((a, b) => rank(a.kind) - rank(b.kind)).map(({ text }) => text);
}

function refuseWrong(values: Values): void {
  const checked = valuesSchema.safeParse(values);
  if (checked.success) return;
  const place = { file: 'values', locate: () => undefined };
  const problems = schemaProblems(valuesSchema, checked.error, values, [], place);
  throw new Error(problems.map((problem) => formatProblem(problem)).join('\n'));
}

/** Documents of a rendered template; those that came out empty are left out. */
function documentsOf(text: string, file: string): { kind: string; text: string }[] {
  return text
    .split(/^---$/m)
    .filter((document) => document.replace(/^#.*$/gm, '').trim() !== '')
    .map((document) => {
      const { kind } = parse(document) as { kind: string };
      return { kind, text: `# Source: tulle/${file}\n${document.trim()}\n` };
    });
}

function rank(kind: string): number {
  if (FIRST.includes(kind)) return FIRST.indexOf(kind);
  return FIRST.length + 1 + LAST.indexOf(kind);
}
