import { type GatewayProvisioner, provisionGateways } from './gateways/gateway-provisioner.ts';
import type { ProvisioningOptions } from './gateways/provisioning-options.ts';
import { selectorMatches } from './kubernetes/label-selector.ts';
import type { LeadersMeans } from './leader.ts';
import type { Log } from './log.ts';
import type { KubernetesRegistry } from './registry/kubernetes/kubernetes-registry.ts';
import { tellByEvents } from './status/event-teller.ts';
import { type StatusWriter, writeStatuses } from './status/status-writer.ts';

export interface GatewayControllerOptions {
  readonly registry: KubernetesRegistry;
  /** Without it nothing is provisioned. */
  readonly provisioning?: ProvisioningOptions;
  /** Labels of the namespaces that are this mesh's; without it all are. */
  readonly namespaceSelector?: string;
  readonly log: Log;
}

/**
 * The leader's side of the Gateway API: provisions Gateways, and tells in statuses and by Events what becomes of all
 * that was written. Given to `startInCluster` as work of the leader.
 */
export function gatewayController(options: GatewayControllerOptions): (means: LeadersMeans) => () => void {
  const { registry, provisioning, namespaceSelector, log } = options;
  const { objects } = registry;
  const inScope = (namespace: string): boolean =>
    namespaceSelector === undefined ||
    selectorMatches(namespaceSelector, objects.routes.namespace(namespace)?.labels ?? {});
  let look = (): void => {};
  let lookAtProblems = (): void => {};
  /** Before all is listed, what looks wrong may only be not there yet. */
  let settled = false;
  registry.onSettled(() => {
    settled = true;
    look();
  });
  registry.onProblems(() => lookAtProblems());
  return ({ api, mayWrite }) => {
    let stopped = false;
    const common = { api, mayWrite: () => !stopped && mayWrite(), inScope, log };
    let statuses: StatusWriter | undefined;
    const onChange = () => statuses?.look();
    const provisioner =
      provisioning === undefined
        ? NOTHING_PROVISIONED
        : provisionGateways({ ...common, gateways: objects.gateways, provisioning, onChange });
    statuses = writeStatuses({ ...common, objects, provisioner });
    const events = tellByEvents({ ...common, problems: () => registry.problems() });
    look = () => {
      provisioner.look();
      statuses.look();
    };
    lookAtProblems = () => events.look();
    if (settled) {
      look();
      lookAtProblems();
    }
    return () => {
      stopped = true;
      look = () => {};
      lookAtProblems = () => {};
      provisioner.close();
      statuses.close();
      events.close();
    };
  };
}

const NOTHING_PROVISIONED: GatewayProvisioner = {
  state: () => ({ available: 0, addresses: [], problem: 'this control plane provisions no Gateways' }),
  look() {},
  close() {},
};
