import { VERSION } from '../../protocol/version.ts';
import type { Manifest } from './kubectl.ts';

const PORT = 8080;

/** What is not as ever of a workload of a test. */
export interface Wishes {
  readonly replicas?: number;
  /** Of `shop-service`, after its name: `--slow=1000`. */
  readonly args?: readonly string[];
  readonly podAnnotations?: Readonly<Record<string, string>>;
  /** Labels of the pods besides `app`. */
  readonly podLabels?: Readonly<Record<string, string>>;
  readonly pod?: Readonly<Record<string, unknown>>;
  readonly container?: Readonly<Record<string, unknown>>;
}

/** A Deployment of the shop's program, with a service account of its name, and no Service. */
export function deployment(namespace: string, name: string, wishes: Wishes = {}): Manifest[] {
  const { replicas = 1 } = wishes;
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace },
      spec: {
        replicas,
        strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
        selector: { matchLabels: { app: name } },
        template: podTemplate(name, wishes),
      },
    },
  ];
}

/** A pod's template, whose label is `app: NAME`. */
export function podTemplate(
  name: string,
  { args = [], podAnnotations = {}, podLabels = {}, pod = {}, container = {} }: Wishes = {},
) {
  return {
    metadata: { labels: { app: name, ...podLabels }, annotations: podAnnotations },
    spec: {
      serviceAccountName: name,
      terminationGracePeriodSeconds: 20,
      securityContext: { runAsNonRoot: true, runAsUser: 1000 },
      containers: [
        {
          name: 'app',
          image: `tulle:${VERSION}`,
          args: ['shop-service', name, ...args],
          ports: [{ name: 'http', containerPort: PORT }],
          // A machine that is busy must not take a pod out of its Service.
          readinessProbe: {
            httpGet: { path: '/healthz', port: PORT },
            periodSeconds: 1,
            timeoutSeconds: 10,
            failureThreshold: 10,
          },
          resources: { requests: { cpu: '10m', memory: '48Mi' } },
          ...container,
        },
      ],
      ...pod,
    },
  };
}

/** A Service of port 8080 for the pods of `app`, of its own name unless that is said. */
export function service(
  namespace: string,
  name: string,
  annotations: Readonly<Record<string, string>> = {},
  { app = name, ...spec }: { readonly app?: string; readonly [field: string]: unknown } = {},
): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, annotations },
    spec: { selector: { app }, ports: [{ name: 'http', port: PORT }], ...spec },
  };
}
