import type { V1ResourceRequirements } from '@kubernetes/client-node';
import type { ProxySettings } from '../protocol/pod-annotations.ts';
import { atMost, parseCpu, parseMemory } from '../protocol/quantity.ts';
import type { Pod } from './meshed-pod.ts';

/** An idle proxy holds 66 MB; a limit is for the pod's owner to set, since what it cuts off are requests. */
const DEFAULT_REQUESTS = { cpu: '50m', memory: '96Mi' };

/** What the proxy asks for and may take. A request above its limit, which the API server would refuse, is lowered. */
export function proxyResources(
  pod: Pod,
  settings: ProxySettings,
  requested: { readonly cpu: string; readonly memory: string } = DEFAULT_REQUESTS,
): { resources: V1ResourceRequirements; warnings: string[] } {
  const { cpuLimit, memoryLimit } = settings;
  // A pod that has a budget as a whole (KEP-2837) would be refused if its parts came to ask for more.
  const isBudgeted = pod.spec.resources != null;
  const cpu = settings.cpuRequest ?? (isBudgeted ? undefined : requested.cpu);
  const memory = settings.memoryRequest ?? (isBudgeted ? undefined : requested.memory);
  const requests = {
    ...(cpu !== undefined && { cpu: atMost(cpu, cpuLimit, parseCpu) }),
    ...(memory !== undefined && { memory: atMost(memory, memoryLimit, parseMemory) }),
  };
  const limits = {
    ...(cpuLimit !== undefined && { cpu: cpuLimit }),
    ...(memoryLimit !== undefined && { memory: memoryLimit }),
  };
  return {
    resources: {
      ...(Object.keys(limits).length > 0 && { limits }),
      ...(Object.keys(requests).length > 0 && { requests }),
    },
    warnings: [
      ...lowered('cpu', settings.cpuRequest, requests.cpu),
      ...lowered('memory', settings.memoryRequest, requests.memory),
    ],
  };
}

function lowered(what: string, asked: string | undefined, given: string | undefined): string[] {
  return asked === undefined || asked === given
    ? []
    : [
        `annotations.tulle.dev/proxy-${what}-request: "${asked}" is more than the limit; ${given} is asked for`,
      ];
}
