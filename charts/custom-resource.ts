import * as z from 'zod';
import { DESCRIPTIONS } from './descriptions.ts';

/** A part of an OpenAPI v3 schema, as far as it is looked at here. */
interface OpenApi {
  readonly type?: string;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, OpenApi>>;
  readonly items?: OpenApi;
  readonly additionalProperties?: unknown;
  readonly description?: string;
  readonly [keyword: string]: unknown;
}

export interface Kind {
  readonly name: string;
  readonly plural: string;
  readonly columns: readonly Column[];
  /** The whole document, with apiVersion, kind, metadata and spec. */
  readonly document: z.ZodObject<{ spec: z.ZodType }>;
}

interface Column {
  readonly name: string;
  readonly type: 'string' | 'date';
  readonly jsonPath: string;
}

/** Those of JSON Schema's keywords that a structural schema of Kubernetes has too. */
const KEYWORDS = new Set([
  ...['type', 'enum', 'default', 'pattern', 'minLength', 'maxLength', 'required'],
  ...['minItems', 'maxItems', 'minimum', 'maximum', 'items', 'properties', 'format'],
]);

/** zod has formats of its own; the API server would warn of them. Their `pattern` says the same. */
const FORMATS = new Set(['uri']);

/** The CustomResourceDefinition of one of our documents. Throws an Error if a field has no description. */
export function customResourceDefinition({ name, plural, columns, document }: Kind): object {
  const spec = z.toJSONSchema(document.shape.spec, { target: 'openapi-3.0', io: 'input' }) as OpenApi;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.tulle.dev`, labels: { 'app.kubernetes.io/part-of': 'tulle' } },
    spec: {
      group: 'tulle.dev',
      scope: 'Namespaced',
      names: {
        kind: name,
        listKind: `${name}List`,
        plural,
        singular: name.toLowerCase(),
        categories: ['tulle'],
      },
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [...columns, ACCEPTED, AGE],
          schema: {
            openAPIV3Schema: {
              description: describe(name, ''),
              type: 'object',
              required: ['spec'],
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: { type: 'object' },
                spec: structural(name, '', spec),
                status: STATUS,
              },
            },
          },
        },
      ],
    },
  };
}

const ACCEPTED: Column = {
  name: 'Accepted',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Accepted")].status',
};
const AGE: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

/**
 * A structural schema. Unknown fields are kept: pruned ones would vanish before the webhook and the control plane could
 * say what was meant (decision 019).
 */
function structural(kind: string, path: string, schema: OpenApi): OpenApi {
  const { properties, items, format, additionalProperties, $schema: _, ...rest } = schema;
  for (const keyword of Object.keys(rest)) {
    if (!KEYWORDS.has(keyword)) throw new Error(`${kind} ${path}: a structural schema has no ${keyword}`);
  }
  const below = (name: string) => (path === '' ? name : `${path}.${name}`);
  return {
    description: describe(kind, path),
    ...rest,
    ...(format !== undefined && FORMATS.has(format) && { format }),
    ...(items !== undefined && { items: structural(kind, `${path}[]`, items) }),
    ...(properties !== undefined && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, field]) => [name, structural(kind, below(name), field)]),
      ),
    }),
    ...(additionalProperties === false && { 'x-kubernetes-preserve-unknown-fields': true }),
  };
}

function describe(kind: string, path: string): string {
  const description = DESCRIPTIONS[kind]?.[path];
  if (description === undefined) throw new Error(`charts/descriptions.ts says nothing of ${kind} ${path}`);
  return description;
}

/** What the control plane writes; a condition as in metav1.Condition. */
const STATUS: OpenApi = {
  description: 'What the control plane makes of it.',
  type: 'object',
  properties: {
    conditions: {
      description:
        'Accepted: the policy is in force as it is written; the message says what is wrong and what was meant. ResolvedRefs: what it refers to is there.',
      type: 'array',
      maxItems: 8,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        description: 'One thing that is said of it.',
        type: 'object',
        required: ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
        properties: {
          type: { description: 'What is said.', type: 'string', maxLength: 316 },
          status: { description: 'Whether it is so.', type: 'string', enum: ['True', 'False', 'Unknown'] },
          observedGeneration: {
            description: 'The generation of the object that it is said of.',
            type: 'integer',
            format: 'int64',
            minimum: 0,
          },
          lastTransitionTime: { description: 'Since when.', type: 'string', format: 'date-time' },
          reason: { description: 'Why, in a word.', type: 'string', minLength: 1, maxLength: 1024 },
          message: { description: 'Why, in a sentence.', type: 'string', maxLength: 32768 },
        },
      },
    },
  },
};
