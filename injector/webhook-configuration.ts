import type {
  V1MutatingWebhook,
  V1MutatingWebhookConfiguration,
  V1RuleWithOperations,
  V1ValidatingWebhook,
  V1ValidatingWebhookConfiguration,
} from '@kubernetes/client-node';
import { INJECT_LABEL } from './meshed-pod.ts';
import { NEVER_INJECTED } from './skip-reason.ts';

/** Where API servers find the injector: a Service, or a URL outside the cluster (for tests). */
type WebhookAddress =
  | { readonly service: { readonly namespace: string; readonly name: string } }
  | { readonly url: string };

export interface WebhookPlace {
  /** Of both configurations. */
  readonly name: string;
  readonly address: WebhookAddress;
  /** Where Tulle itself runs: never asked about. */
  readonly systemNamespace: string;
  /** Limits all webhooks to namespaces with these labels (for tests). */
  readonly onlyNamespaces?: Readonly<Record<string, string>>;
}

type Expression = { key: string; operator: string; values?: string[] };

const NAME_LABEL = 'kubernetes.io/metadata.name';

/**
 * Which pods are asked about: those of namespaces that opted in, and those that opted in by themselves. A pod
 * among them never starts without its proxy (`Fail`); all others never wait for the injector (decision 016). The
 * chart has the same (test/kubernetes/webhooks.test.ts).
 */
export function mutatingWebhookConfiguration(place: WebhookPlace): V1MutatingWebhookConfiguration {
  const webhook = (name: string, namespaces: Expression[], pods: Expression[]): V1MutatingWebhook => ({
    name: `${name}.injector.tulle.dev`,
    admissionReviewVersions: ['v1'],
    clientConfig: clientConfig(place.address, '/inject'),
    failurePolicy: 'Fail',
    // Nothing of a pod in its node's network can be captured: the injector is not needed to say so.
    matchConditions: [
      { name: 'own-network', expression: '!has(object.spec.hostNetwork) || !object.spec.hostNetwork' },
    ],
    matchPolicy: 'Equivalent',
    namespaceSelector: {
      matchExpressions: [...namespaces, ...outside(place)],
      ...(place.onlyNamespaces !== undefined && { matchLabels: { ...place.onlyNamespaces } }),
    },
    objectSelector: { matchExpressions: pods },
    // Containers that other webhooks add later get their probes and hooks too.
    reinvocationPolicy: 'IfNeeded',
    rules: [rule('', 'v1', ['pods'], ['CREATE'], 'Namespaced')],
    sideEffects: 'None',
    timeoutSeconds: 10,
  });
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: place.name },
    webhooks: [
      webhook('namespaces', [isOneOf(INJECT_LABEL, 'enabled')], [isNoneOf(INJECT_LABEL, 'disabled')]),
      webhook('pods', [isNoneOf(INJECT_LABEL, 'enabled')], [isOneOf(INJECT_LABEL, 'enabled')]),
    ],
  };
}

/** What is checked as it is written. Traffic does not hang on it, so nothing waits for an injector that is away (`Ignore`). */
export function validatingWebhookConfiguration(place: WebhookPlace): V1ValidatingWebhookConfiguration {
  const webhook = (
    name: string,
    rules: V1RuleWithOperations[],
    { condition, namespaces = [] }: { condition?: string; namespaces?: Expression[] } = {},
  ): V1ValidatingWebhook => ({
    name: `${name}.injector.tulle.dev`,
    admissionReviewVersions: ['v1'],
    clientConfig: clientConfig(place.address, '/validate'),
    failurePolicy: 'Ignore',
    ...(condition !== undefined && { matchConditions: [{ name: 'about-tulle', expression: condition }] }),
    matchPolicy: 'Equivalent',
    namespaceSelector: {
      ...(namespaces.length > 0 && { matchExpressions: namespaces }),
      ...(place.onlyNamespaces !== undefined && { matchLabels: { ...place.onlyNamespaces } }),
    },
    rules,
    sideEffects: 'None',
    timeoutSeconds: 3,
  });
  const written = ['CREATE', 'UPDATE'];
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: place.name },
    webhooks: [
      webhook('services', [rule('', 'v1', ['services'], written, 'Namespaced')], {
        condition: has('annotations'),
        namespaces: outside(place),
      }),
      webhook('namespaces', [rule('', 'v1', ['namespaces'], written, 'Cluster')], {
        condition: `${has('annotations')} || ${has('labels')}`,
      }),
      webhook('policies', [
        rule(
          'tulle.dev',
          'v1alpha1',
          ['trafficpolicies', 'accesspolicies', 'aggregates'],
          written,
          'Namespaced',
        ),
      ]),
    ],
  };
}

/** CEL: whether the object has a key of Tulle's among its labels or annotations. */
function has(field: 'labels' | 'annotations'): string {
  return `(has(object.metadata.${field}) && object.metadata.${field}.exists(key, key.startsWith('tulle.dev/')))`;
}

/** A Service port 443, or a URL. The caBundle is the injector's own to fill in. */
function clientConfig(address: WebhookAddress, path: string): V1MutatingWebhook['clientConfig'] {
  return 'url' in address
    ? { url: `${address.url}${path}` }
    : { service: { ...address.service, path, port: 443 } };
}

function rule(
  group: string,
  version: string,
  resources: string[],
  operations: string[],
  scope: string,
): V1RuleWithOperations {
  return { apiGroups: [group], apiVersions: [version], operations, resources, scope };
}

function outside({ systemNamespace }: WebhookPlace): Expression[] {
  return [isNoneOf(NAME_LABEL, ...NEVER_INJECTED, systemNamespace)];
}

function isOneOf(key: string, ...values: string[]): Expression {
  return { key, operator: 'In', values };
}

/** Holds too where the label is not set. */
function isNoneOf(key: string, ...values: string[]): Expression {
  return { key, operator: 'NotIn', values };
}
