import { keysOf, type Operation } from './json-patch.ts';

type Node = Record<string, unknown> | unknown[];

/** What the API server makes of a patch. Throws an Error where it would refuse. */
export function applyPatch<T>(document: T, patch: readonly Operation[]): T {
  const root = structuredClone({ document });
  for (const operation of patch) {
    const keys = ['document', ...keysOf(operation.path)];
    const last = keys.pop() ?? '';
    let node: Node = root;
    for (const key of keys) {
      const next: unknown = Array.isArray(node) ? node[Number(key)] : node[key];
      if (next === null || typeof next !== 'object') throw new Error(`${operation.path}: nothing at ${key}`);
      node = next as Node; // an object or an array
    }
    change(node, last, operation);
  }
  return root.document;
}

function change(node: Node, key: string, operation: Operation): void {
  const exists = Array.isArray(node) ? Number(key) < node.length : Object.hasOwn(node, key);
  if (operation.op !== 'add' && !exists) throw new Error(`${operation.path} is not there`);
  if (Array.isArray(node)) {
    if (operation.op === 'remove') node.splice(Number(key), 1);
    else
      node.splice(key === '-' ? node.length : Number(key), operation.op === 'add' ? 0 : 1, operation.value);
  } else if (operation.op === 'remove') delete node[key];
  else node[key] = operation.value;
}
