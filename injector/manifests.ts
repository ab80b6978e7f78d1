import { type Document, isAlias, isSeq, Document as NewDocument, parseAllDocuments, visit } from 'yaml';
import type { InjectionConfig } from './injection-config.ts';
import { keysOf, type Operation, pointer } from './json-patch.ts';
import { INJECT_LABEL, type Pod } from './meshed-pod.ts';
import { injectPod } from './pod-patch.ts';
import { uninjectPod } from './pod-unpatch.ts';
import { isPod } from './review-pod.ts';

const MAX_ALIASES = 100;

/** Where a kind has its pod template. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  Deployment: ['spec', 'template'],
  StatefulSet: ['spec', 'template'],
  DaemonSet: ['spec', 'template'],
  ReplicaSet: ['spec', 'template'],
  ReplicationController: ['spec', 'template'],
  Job: ['spec', 'template'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
};

/** What became of one object, for whoever runs the command. */
interface Note {
  /** Like `Deployment shop/web`. */
  readonly object: string;
  readonly said: string;
  readonly isError: boolean;
}

export interface Rewritten {
  readonly text: string;
  readonly notes: readonly Note[];
}

interface Change {
  readonly patch: readonly Operation[];
  readonly said: readonly string[];
  readonly isError?: boolean;
}

/** Injects all pods and pod templates in YAML documents. Throws an Error if the text is no YAML. */
export function injectManifests(text: string, config: InjectionConfig): Rewritten {
  return rewrite(text, (pod, namespace) => {
    // There is no namespace to ask: who runs the command has decided.
    const labels = { [INJECT_LABEL]: 'enabled' };
    const name = namespace === undefined ? {} : { name: namespace };
    const injection = injectPod(pod, { ...name, labels, annotations: {} }, config);
    if (injection.outcome === 'injected')
      return {
        patch: injection.patch,
        said: ['injected', ...injection.warnings.map((one) => `warning: ${one}`)],
      };
    const said = [`${injection.outcome}: ${injection.reason}`];
    return { patch: [], said, isError: injection.outcome === 'refused' };
  });
}

/** Takes out what injecting put in. Throws an Error if the text is no YAML. */
export function uninjectManifests(text: string): Rewritten {
  return rewrite(text, (pod) => {
    const patch = uninjectPod(pod);
    return patch === undefined ? { patch: [], said: ['is not injected'] } : { patch, said: ['uninjected'] };
  });
}

type Changing = (pod: Pod, namespace: string | undefined) => Change;

/** Documents that do not change stay as they are, to the byte. */
function rewrite(text: string, change: Changing): Rewritten {
  // kubectl reads YAML 1.1: a mode of 0644 is octal.
  const documents = parseAllDocuments(text, { version: '1.1', uniqueKeys: false, logLevel: 'error' });
  const notes: Note[] = [];
  const pieces: string[] = [];
  let from = 0;
  for (const document of Array.isArray(documents) ? documents : []) {
    const [mistake] = document.errors;
    if (mistake !== undefined) throw new Error(`this is not YAML: ${mistake.message}`);
    const to = document.range?.[2] ?? text.length;
    const found = pods(document.toJS({ maxAliasCount: MAX_ALIASES }), []);
    const changes = found.map((one) => ({ ...one, ...change(one.pod, one.namespace) }));
    for (const { object, said, isError = false } of changes)
      notes.push(...said.map((line) => ({ object, said: line, isError })));
    const patch = changes.flatMap(({ at, patch: of }) =>
      of.map((operation) => ({ ...operation, path: `${pointer(at)}${operation.path}` })),
    );
    const source = text.slice(from, to);
    pieces.push(patch.length === 0 ? source : patched(document, patch, isCompact(source)));
    from = to;
  }
  return { text: pieces.join('') + text.slice(from), notes };
}

interface Found {
  readonly object: string;
  readonly namespace: string | undefined;
  readonly at: readonly (string | number)[];
  readonly pod: Pod;
}

/** The pods of an object; of a List, those of its items. */
function pods(value: unknown, at: readonly (string | number)[]): Found[] {
  if (!isRecord(value) || typeof value.kind !== 'string') return [];
  if (value.kind.endsWith('List') && Array.isArray(value.items))
    return value.items.flatMap((item, index) => pods(item, [...at, 'items', index]));
  const path = Object.hasOwn(TEMPLATES, value.kind) ? TEMPLATES[value.kind] : undefined;
  const pod = path?.reduce<unknown>((node, key) => (isRecord(node) ? node[key] : undefined), value);
  if (path === undefined || !isPod(pod)) return [];
  const { name, namespace } = isRecord(value.metadata) ? value.metadata : {};
  const where = typeof namespace === 'string' ? namespace : undefined;
  const object = `${value.kind} ${where === undefined ? '' : `${where}/`}${typeof name === 'string' ? name : '?'}`;
  return [{ object, namespace: where, at: [...at, ...path], pod }];
}

function patched(document: Document.Parsed, patch: readonly Operation[], compact: boolean): string {
  const target = withoutAliases(document);
  for (const operation of patch) apply(target, operation);
  return target.toString({ lineWidth: 0, indentSeq: !compact });
}

/** An alias stands for something elsewhere, which is not to change with it. */
function withoutAliases(document: Document.Parsed): Document {
  let hasAliases = false;
  visit(document, (_key, node) => {
    if (isAlias(node)) hasAliases = true;
  });
  if (!hasAliases) return document;
  const plain = new NewDocument(document.toJS({ maxAliasCount: MAX_ALIASES }), {
    version: '1.1',
    aliasDuplicateObjects: false,
  });
  plain.directives = document.directives;
  return plain;
}

function apply(document: Document, operation: Operation): void {
  const keys = keysOf(operation.path);
  if (operation.op === 'remove') {
    document.deleteIn(keys);
    return;
  }
  const parent = document.getIn(keys.slice(0, -1), true);
  const node = document.createNode(operation.value, { aliasDuplicateObjects: false });
  if (operation.op === 'add' && isSeq(parent)) parent.items.splice(Number(keys.at(-1)), 0, node);
  else document.setIn(keys, node);
}

/** Whether lists stand below their key without indentation, as kubectl writes them. */
function isCompact(source: string): boolean {
  return /^( *)(?:- )?[\w./-]+:[ \t]*\n\1- /m.test(source);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
