import { wantedAddresses } from '../gateways/gateway-manifests.ts';
import type { ProvisionedState } from '../gateways/gateway-provisioner.ts';
import type { CheckedGateway } from '../registry/kubernetes/checked-gateway.ts';
import { fallsBackInsecurely } from '../registry/kubernetes/client-authorities.ts';
import type { KnownObjects } from '../registry/kubernetes/known-objects.ts';
import { type Condition, condition, problemWords, withTimes } from './conditions.ts';
import { isAttached } from './listener-set-status.ts';
import { isPending, listenerStatuses, notProgrammed, type RawStatus, type Wrong } from './listener-status.ts';

const INSECURE = 'InsecureFrontendValidationMode';

/** The status of a Gateway of ours; undefined while it is not known what is provisioned, or what its Secrets hold. */
export function gatewayStatus(
  key: string,
  known: Pick<KnownObjects, 'gateways' | 'routes' | 'seen'>,
  provisioned: ProvisionedState | undefined,
  now: Date,
): object | undefined {
  const gateway = known.gateways.gateway(key);
  const seen = known.seen.get('Gateway', key);
  if (gateway === undefined || seen === undefined || provisioned === undefined) return undefined;
  if (gateway.listeners.some(isPending) || gateway.clientCertificate?.pending) return undefined;
  const before = (seen.status ?? {}) as RawStatus; // the API server checked it
  const conditions = [
    acceptedCondition(gateway),
    programmedCondition(gateway, provisioned),
    resolvedRefsCondition(gateway),
    ...insecureCondition(gateway),
  ];
  return {
    // One that is not accepted has nothing to be called at.
    addresses: gateway.refused === undefined ? provisioned.addresses : [],
    conditions: withTimes(conditions, before.conditions, now, [INSECURE]),
    listeners: listenerStatuses(gateway, { gateway, key, known, provisioned, before, now }),
    // API servers from before ListenerSets would throw it away.
    ...((gateway.sets.length > 0 || before.attachedListenerSets !== undefined) && {
      attachedListenerSets: gateway.sets.filter(isAttached).length,
    }),
  };
}

function acceptedCondition({ document, listeners, refused }: CheckedGateway): Condition {
  const faults = listeners.flatMap((one) => one.refused ?? []);
  const words = problemWords(faults.map(({ problem }) => problem));
  if (refused !== undefined)
    return condition(
      'Accepted',
      document.generation,
      { reason: 'Accepted' },
      {
        reason: refused.reason,
        message: problemWords([refused.problem]),
      },
    );
  const none = faults.length === listeners.length;
  const some = { reason: faults.length > 0 ? 'ListenersNotValid' : 'Accepted', message: words };
  return condition('Accepted', document.generation, some, none ? some : undefined);
}

function programmedCondition(gateway: CheckedGateway, provisioned: ProvisionedState): Condition {
  const wrong = notProgrammed(gateway, provisioned) ?? notAddressed(gateway, provisioned);
  const ok = { reason: 'Programmed', message: `${provisioned.available} replicas serve` };
  return condition('Programmed', gateway.document.generation, ok, wrong);
}

/** Of what no listener refers to. */
function resolvedRefsCondition({ document, clientCertificate }: CheckedGateway): Condition {
  const [wrong] = clientCertificate?.wrong ?? [];
  return condition(
    'ResolvedRefs',
    document.generation,
    { reason: 'ResolvedRefs' },
    wrong && { reason: wrong.reason, message: problemWords([wrong.problem]) },
  );
}

/** There only while it is true (Gateway API, FrontendValidationModeType). */
function insecureCondition({ document }: CheckedGateway): Condition[] {
  if (!fallsBackInsecurely(document)) return [];
  const message = 'AllowInsecureFallback in spec.tls.frontend lets clients in without a valid certificate';
  return [condition(INSECURE, document.generation, { reason: 'ConfigurationChanged', message })];
}

function notAddressed({ document }: CheckedGateway, { addresses }: ProvisionedState): Wrong {
  const missing = wantedAddresses(document).filter(
    (wanted) => !addresses.some(({ value }) => value === wanted),
  );
  if (missing.length > 0)
    return { reason: 'AddressNotUsable', message: `its Service did not get ${missing.join(', ')}` };
  return addresses.length > 0
    ? undefined
    : { reason: 'AddressNotAssigned', message: 'its Service has no address yet' };
}
