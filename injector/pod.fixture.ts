import assert from 'node:assert/strict';
import type { V1Container, V1PodSpec } from '@kubernetes/client-node';
import { applyPatch } from './apply-patch.fixture.ts';
import type { InjectionConfig, PodNamespace } from './injection-config.ts';
import type { Pod } from './meshed-pod.ts';
import { injectPod } from './pod-patch.ts';

export const CONFIG: InjectionConfig = {
  image: 'tulle:test',
  controlPlane: 'control-plane.tulle-system.svc:7400',
  cluster: { major: 1, minor: 36 },
  cni: false,
  systemNamespace: 'tulle-system',
};

export const SHOP: PodNamespace = {
  name: 'shop',
  labels: { 'tulle.dev/inject': 'enabled' },
  annotations: {},
};

export function container(more: Partial<V1Container> = {}): V1Container {
  return { name: 'web', image: 'web:1', ...more };
}

export function podOf(
  spec: Partial<V1PodSpec> = {},
  metadata: NonNullable<Pod['metadata']> = { name: 'web-1' },
): Pod {
  return { metadata, spec: { containers: [container()], ...spec } };
}

export function annotated(annotations: Record<string, string>, spec: Partial<V1PodSpec> = {}): Pod {
  return podOf(spec, { name: 'web-1', annotations });
}

export interface Injected {
  readonly pod: Pod;
  readonly warnings: readonly string[];
  readonly steps: number;
}

/** The pod as the API server stores it after injecting. Throws an AssertionError if it was not injected. */
export function injected(pod: Pod, namespace = SHOP, config: Partial<InjectionConfig> = {}): Injected {
  const before = structuredClone(pod);
  const result = injectPod(pod, namespace, { ...CONFIG, ...config });
  assert.deepEqual(pod, before, 'the pod itself is left alone');
  if (result.outcome !== 'injected') assert.fail(`${result.outcome}: ${result.reason}`);
  return { pod: applyPatch(pod, result.patch), warnings: result.warnings, steps: result.patch.length };
}

/** The container of that name, wherever it stands. */
export function named({ spec }: Pod, name: string): V1Container {
  const found = [...(spec.initContainers ?? []), ...spec.containers].find((one) => one.name === name);
  return found ?? assert.fail(`there is no container ${name}`);
}

/** The value of `--name=VALUE`. */
export function flag(pod: Pod, name: string, of = 'tulle-proxy'): string | undefined {
  const prefix = `--${name}=`;
  return named(pod, of)
    .args?.find((argument) => argument.startsWith(prefix))
    ?.slice(prefix.length);
}
