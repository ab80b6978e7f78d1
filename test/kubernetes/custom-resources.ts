import { gatewayApiCrds } from './gateway-api-crds.ts';
import { apply, kubectl } from './kubectl-now.ts';

const TULLE_KINDS = [
  ['TrafficPolicy', 'trafficpolicies'],
  ['AccessPolicy', 'accesspolicies'],
  ['Aggregate', 'aggregates'],
] as const;

/** Installs the definitions of the Gateway API and of Tulle where they are missing, and leaves them there. */
export function installCustomResources(): void {
  const there = kubectl(['get', 'crd', '-o', 'name']);
  if (!there.includes('/httproutes.gateway.networking.k8s.io'))
    for (const file of gatewayApiCrds()) kubectl(['apply', '--server-side', '-f', file]);
  for (const [kind, plural] of TULLE_KINDS)
    if (!there.includes(`/${plural}.tulle.dev`)) apply(permissiveDefinition(kind, plural));
  const wanted = [
    'httproutes.gateway.networking.k8s.io',
    'trafficpolicies.tulle.dev',
    'aggregates.tulle.dev',
  ];
  for (const name of wanted) kubectl(['wait', '--for=condition=Established', '--timeout=30s', `crd/${name}`]);
}

/** Takes everything: what is right is for our own reader to say. */
function permissiveDefinition(kind: string, plural: string): object {
  const schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.tulle.dev` },
    spec: {
      group: 'tulle.dev',
      scope: 'Namespaced',
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: { status: {} },
        },
      ],
    },
  };
}
