import type { ProvisionedState } from '../gateways/gateway-provisioner.ts';
import { allListeners, type CheckedGateway } from '../registry/kubernetes/checked-gateway.ts';
import {
  type CheckedListener,
  isServed,
  type ListenerOwner,
} from '../registry/kubernetes/checked-listener.ts';
import type { KnownObjects } from '../registry/kubernetes/known-objects.ts';
import { type Condition, condition, problemWords, type WrittenCondition, withTimes } from './conditions.ts';

const GATEWAY_API = 'gateway.networking.k8s.io';

/** Why a condition is false. */
export type Wrong = { readonly reason: string; readonly message: string } | undefined;

/** The status of a Gateway or ListenerSet as it is, as far as it is read. */
export interface RawStatus {
  readonly conditions?: unknown;
  /** Of a Gateway. */
  readonly attachedListenerSets?: number;
  readonly listeners?: readonly { readonly name?: string; readonly conditions?: unknown }[];
}

/** What the status of listeners is made of. */
export interface ListenerWorld {
  readonly gateway: CheckedGateway;
  /** Of the Gateway. */
  readonly key: string;
  readonly known: Pick<KnownObjects, 'routes'>;
  readonly provisioned: ProvisionedState;
  readonly before: RawStatus;
  readonly now: Date;
}

interface ListenerStatus {
  readonly name: string;
  readonly supportedKinds: readonly object[];
  readonly attachedRoutes: number;
  readonly conditions: readonly WrittenCondition[];
}

/** `status.listeners` of a Gateway or a ListenerSet. */
export function listenerStatuses(owner: ListenerOwner, world: ListenerWorld): ListenerStatus[] {
  const { gateway, key, known, provisioned, before, now } = world;
  const attached = known.routes.attachedTo(`gateway ${key}`);
  const { generation } = owner.document;
  return owner.listeners.map((checked) => {
    const { name } = checked.listener;
    const old = before.listeners?.find((one) => one.name === name);
    const wanted = listenerConditions(checked, generation, gateway, provisioned);
    return {
      name,
      supportedKinds: checked.kinds.map((kind) => ({ group: GATEWAY_API, kind })),
      attachedRoutes: attached.filter(({ listeners }) => listeners.has(`${key} ${checked.key}`)).length,
      conditions: withTimes(wanted, old?.conditions, now),
    };
  });
}

/** Why a Gateway serves nobody yet, whatever its addresses are. */
export function notProgrammed(gateway: CheckedGateway, { available, problem }: ProvisionedState): Wrong {
  if (gateway.refused !== undefined) return { reason: 'Invalid', message: 'it is not accepted' };
  if (!allListeners(gateway).some(isServed))
    return { reason: 'Invalid', message: 'no listener of it can be served' };
  if (problem !== undefined)
    return { reason: 'NoResources', message: `what serves it could not be made: ${problem}` };
  return available > 0
    ? undefined
    : { reason: 'Pending', message: 'no replica of its Deployment is available yet' };
}

/** Whether it is not known yet what a listener's Secrets hold. */
export function isPending({ pending }: CheckedListener): boolean {
  return pending;
}

function listenerConditions(
  checked: CheckedListener,
  generation: number,
  gateway: CheckedGateway,
  provisioned: ProvisionedState,
): Condition[] {
  const { refused, unresolved } = checked;
  const refusal: Wrong =
    refused === undefined ? undefined : { reason: refused.reason, message: problemWords([refused.problem]) };
  const [first] = unresolved;
  const missing: Wrong =
    first === undefined
      ? undefined
      : { reason: first.reason, message: problemWords(unresolved.map(({ problem }) => problem)) };
  return [
    condition('Accepted', generation, { reason: 'Accepted' }, refusal),
    conflictedCondition(generation, refusal),
    condition('ResolvedRefs', generation, { reason: 'ResolvedRefs' }, missing),
    condition(
      'Programmed',
      generation,
      { reason: 'Programmed' },
      listenerNotProgrammed(checked, gateway, provisioned),
    ),
  ];
}

/** True is what is wrong here. */
function conflictedCondition(observedGeneration: number, refusal: Wrong): Condition {
  const conflicted = refusal?.reason.endsWith('Conflict') === true;
  return {
    type: 'Conflicted',
    status: conflicted ? 'True' : 'False',
    reason: conflicted ? refusal.reason : 'NoConflicts',
    message: conflicted ? refusal.message : '',
    observedGeneration,
  };
}

function listenerNotProgrammed(
  checked: CheckedListener,
  gateway: CheckedGateway,
  provisioned: ProvisionedState,
): Wrong {
  const { refused } = checked;
  if (refused !== undefined)
    return {
      reason: refused.reason.endsWith('Conflict') ? refused.reason : 'Invalid',
      message: 'it is not accepted',
    };
  if (!isServed(checked))
    return { reason: 'Invalid', message: 'what it refers to is not there: nothing is served' };
  return notProgrammed(gateway, provisioned);
}
