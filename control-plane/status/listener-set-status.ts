import type { ProvisionedState } from '../gateways/gateway-provisioner.ts';
import { isServed } from '../registry/kubernetes/checked-listener.ts';
import { type CheckedListenerSet, gatewayOfSet } from '../registry/kubernetes/checked-listener-set.ts';
import type { KnownObjects } from '../registry/kubernetes/known-objects.ts';
import type { SeenDocument } from '../registry/kubernetes/seen-documents.ts';
import { type Condition, condition, problemWords, withTimes } from './conditions.ts';
import { isPending, listenerStatuses, notProgrammed, type RawStatus, type Wrong } from './listener-status.ts';

/** The status of a ListenerSet for a Gateway of ours; undefined for all others, and while not all is known. */
export function listenerSetStatus(
  seen: SeenDocument,
  known: Pick<KnownObjects, 'gateways' | 'routes'>,
  provisioned: ProvisionedState | undefined,
  now: Date,
): object | undefined {
  const { kept, status } = seen;
  const before = (status ?? {}) as RawStatus; // the API server checked it
  const key = gatewayOfSet(kept);
  if (key !== undefined && !known.gateways.exists(key)) return orphaned(kept.generation, key, before, now);
  const found = known.gateways.listenerSet(`${kept.namespace}/${kept.name}`);
  const gateway = known.gateways.gateway(found?.gateway ?? '');
  if (found === undefined || gateway === undefined || provisioned === undefined) return undefined;
  const { set } = found;
  if (set.listeners.some(isPending)) return undefined;
  const unmet = notAttached(set);
  const below: Wrong = notProgrammed(gateway, provisioned);
  const unserved = below && { reason: 'ParentNotProgrammed', message: `its Gateway: ${below.message}` };
  const { generation } = set.document;
  const conditions = [
    condition('Accepted', generation, acceptedAs(set), unmet),
    condition('Programmed', generation, { reason: 'Programmed' }, unmet ?? unserved),
  ];
  return {
    conditions: withTimes(conditions, before.conditions, now),
    listeners: listenerStatuses(set, { gateway, key: found.gateway, known, provisioned, before, now }),
  };
}

/** Whether it adds at least one listener to its Gateway. */
export function isAttached(set: CheckedListenerSet): boolean {
  return notAttached(set) === undefined;
}

function notAttached({ refused, listeners }: CheckedListenerSet): Wrong {
  if (refused !== undefined) return { reason: refused.reason, message: problemWords([refused.problem]) };
  if (listeners.some(isServed)) return undefined;
  return { reason: 'ListenersNotValid', message: 'none of its listeners can be served' };
}

function acceptedAs({ listeners }: CheckedListenerSet): { reason: string; message: string } {
  const faults = listeners.flatMap((one) => one.refused ?? []);
  const reason = faults.length > 0 ? 'ListenersNotValid' : 'Accepted';
  return { reason, message: problemWords(faults.map(({ problem }) => problem)) };
}

/**
 * Nobody says any more that it is accepted when its Gateway is gone. What was never accepted is left alone: nobody
 * knows whose it would be.
 */
function orphaned(observedGeneration: number, key: string, before: RawStatus, now: Date): object | undefined {
  const conditions = (before.conditions ?? []) as readonly Condition[]; // the API server checked it
  if (!conditions.some(({ type, status }) => type === 'Accepted' && status === 'True')) return undefined;
  const message = `Gateway ${key} does not exist`;
  const unknown = ['Accepted', 'Programmed'].map(
    (type): Condition => ({ type, status: 'Unknown', reason: 'Pending', message, observedGeneration }),
  );
  return { conditions: withTimes(unknown, conditions, now), listeners: [] };
}
