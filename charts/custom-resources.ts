import { stringify } from 'yaml';
import { accessPolicySchema } from '../protocol/access-policy.ts';
import { aggregateSchema } from '../protocol/aggregate.ts';
import { trafficPolicySchema } from '../protocol/traffic-policy.ts';
import { customResourceDefinition, type Kind } from './custom-resource.ts';

const TARGET = [
  { name: 'Target Kind', type: 'string', jsonPath: '.spec.targetRef.kind' },
  { name: 'Target', type: 'string', jsonPath: '.spec.targetRef.name' },
] as const;

const KINDS: readonly Kind[] = [
  { name: 'AccessPolicy', plural: 'accesspolicies', columns: TARGET, document: accessPolicySchema },
  {
    name: 'Aggregate',
    plural: 'aggregates',
    columns: [{ name: 'Path', type: 'string', jsonPath: '.spec.path' }],
    document: aggregateSchema,
  },
  { name: 'TrafficPolicy', plural: 'trafficpolicies', columns: TARGET, document: trafficPolicySchema },
];

/** Text of each file of charts/tulle/crds, by its name. */
export function customResourceFiles(): Map<string, string> {
  return new Map(
    KINDS.map((kind) => [
      `tulle.dev_${kind.plural}.yaml`,
      `# Made by \`npm run crds\` of protocol/ and charts/descriptions.ts.\n${stringify(customResourceDefinition(kind), { lineWidth: 110 })}`,
    ]),
  );
}
