import * as z from 'zod';
import { parseStoreAddress, STORE_MEANT } from '../../protocol/quotas/store-address.ts';

const text = z.string();
const flag = z.boolean();
const count = z.int().min(0).max(1000);
/** Some part of a Kubernetes object: the API server checks it. */
const anything = z.record(z.string(), z.unknown());
const texts = z.record(z.string(), z.string());
const level = z.enum(['debug', 'info', 'warn', 'error']);
const quantity = z.union([
  z.string().regex(/^(\d+(\.\d+)?([munkMGTPE]|[KMGTPE]i)?)?$/, {
    error: 'is not a quantity; write a number with its unit, like 100m or 128Mi',
  }),
  z.number().min(0),
]);
const resources = z.strictObject({
  requests: z.record(z.string(), quantity),
  limits: z.record(z.string(), quantity).optional(),
});

/** The values of charts/tulle: values.schema.json is made of it, and `tulle install` checks by it. */
export const valuesSchema = z.strictObject({
  /** Helm's own, where the chart is part of another. */
  global: anything.optional(),
  image: z.strictObject({
    repository: z.string().regex(/^[a-z0-9]([a-zA-Z0-9._:/-]{0,254}[a-z0-9])?$/, {
      error: 'is not the name of an image; write like registry.example/mesh/tulle',
    }),

    tag: z.string().regex(/^(\w[\w.-]{0,127})?$/, { error: 'is not a tag; write like 1.2.3, or nothing' }),
    digest: z.string().regex(/^(sha256:[0-9a-f]{64})?$/, {
      error: 'is not a digest; write sha256: and 64 hexadecimal digits, or nothing',
    }),
    pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']),
  }),
  imagePullSecrets: z.array(z.strictObject({ name: text })),
  trustDomain: z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, {
    error: 'is not a trust domain; write lower-case letters, digits, - and dots, like cluster.local',
  }),
  logLevel: level,
  namespace: z.strictObject({ create: flag }),
  controlPlane: z.strictObject({
    replicas: count,
    resources,
    autoscaling: z.strictObject({
      enabled: flag,
      minReplicas: count.min(1),
      maxReplicas: count.min(1),
      targetCPUPercent: z.int().min(1).max(100),
    }),
    readSecrets: flag,
    certificateLife: z.string().regex(/^\d+(ms|s|m|h)$/, { error: 'is not a duration; write like 24h' }),
    extraArgs: z.array(text),
    extraEnv: z.array(anything),
  }),
  quotas: z.strictObject({
    store: text.max(2000).superRefine((store, context) => {
      const wrong = parseStoreAddress(store);
      if (typeof wrong === 'string') context.addIssue(`${wrong}; ${STORE_MEANT}`);
    }),
    existingSecret: z.string().regex(/^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$/, {
      error: 'is not the name of a Secret; write like redis-of-tulle, or nothing',
    }),
  }),
  gateways: z.strictObject({
    provision: flag,
    serviceType: z.enum(['LoadBalancer', 'NodePort', 'ClusterIP']),
    replicas: count.min(1),
    cpuRequest: quantity,
    memoryRequest: quantity,
    maxReplicas: count,
  }),
  proxy: z.strictObject({ cpuRequest: quantity, memoryRequest: quantity }),
  injector: z.strictObject({
    replicas: count,
    resources,
    excludedNamespaces: z.array(text),
    timeoutSeconds: z.int().min(3).max(30),
    cni: flag,
    extraArgs: z.array(text),
  }),
  priorityClassName: z.string().regex(/^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$/, {
    error: 'is not the name of a priority class; write like system-cluster-critical, or nothing',
  }),
  nodeSelector: texts,
  tolerations: z.array(anything),
  affinity: anything,
  topologySpread: z.enum(['DoNotSchedule', 'ScheduleAnyway']),
  podAnnotations: texts,
  podDisruptionBudget: z.strictObject({ enabled: flag }),
  networkPolicy: z.strictObject({ enabled: flag, metricsFrom: z.array(anything).min(1) }),
  monitoring: z.strictObject({
    enabled: flag,
    interval: z.string().regex(/^\d+(ms|s|m|h)$/, { error: 'is not a duration; write like 30s' }),
    labels: texts,
  }),
  gatewayClass: z.enum(['auto', 'always', 'never']),
});
