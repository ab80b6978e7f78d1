import type { AllowedNamespaces, LabelSelector, Listener } from './gateway-listeners.ts';
import type { KeptNamespace } from './kept-objects.ts';

const GATEWAY_API = 'gateway.networking.k8s.io';

/** Kinds of routes by what a listener speaks; what is not here is not served. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  HTTP: ['HTTPRoute', 'GRPCRoute'],
  HTTPS: ['HTTPRoute', 'GRPCRoute'],
  TLS: ['TLSRoute'],
};

/** Protocols of listeners that are served. */
export const SERVED_PROTOCOLS: readonly string[] = Object.keys(KINDS);

/** Kinds of routes that a listener takes, and those that it names though they cannot be served there. */
export function routeKinds({ protocol, allowedRoutes }: Listener): { taken: string[]; invalid: string[] } {
  const served = Object.hasOwn(KINDS, protocol) ? (KINDS[protocol] ?? []) : [];
  const named = allowedRoutes?.kinds ?? [];
  if (named.length === 0) return { taken: [...served], invalid: [] };
  const taken = new Set<string>();
  const invalid: string[] = [];
  for (const { group = GATEWAY_API, kind = '' } of named) {
    if (group === GATEWAY_API && served.includes(kind)) taken.add(kind);
    else invalid.push(group === GATEWAY_API ? kind : `${group}/${kind}`);
  }
  return { taken: [...taken], invalid };
}

/**
 * Whether a listener takes routes, or a Gateway takes ListenerSets, from a namespace. `own`: the namespace of whom is
 * asked.
 */
export function takesNamespace(
  rule: AllowedNamespaces | undefined,
  byDefault: 'Same' | 'None',
  own: string,
  from: { readonly name: string; readonly labels: KeptNamespace['labels'] },
): boolean {
  switch (rule?.from ?? byDefault) {
    case 'All':
      return true;
    case 'Same':
      return from.name === own;
    case 'Selector':
      // Who forgot the selector did not mean everybody.
      return rule?.selector !== undefined && selectsLabels(rule.selector, from.labels);
    default:
      return false;
  }
}

/** As in metav1.LabelSelector, but that one which says nothing selects nothing: it opens a listener to others. */
function selectsLabels(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  const wanted = Object.entries(matchLabels);
  if (wanted.length + matchExpressions.length === 0) return false;
  return (
    wanted.every(([name, value]) => labels[name] === value) &&
    matchExpressions.every((one) => meets(one, labels[one.key]))
  );
}

function meets(
  { operator, values = [] }: NonNullable<LabelSelector['matchExpressions']>[number],
  value: string | undefined,
): boolean {
  switch (operator) {
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'In':
      return value !== undefined && values.includes(value);
    default:
      return false;
  }
}
