import { type CheckedListener, checkListeners, type Fault, type ListenerOwner } from './checked-listener.ts';
import { type CheckedListenerSet, checkListenerSets, type ListenerSetWorld } from './checked-listener-set.ts';
import { type CheckedClientCertificate, checkClientCertificate } from './client-certificate.ts';
import { gatewaySpec } from './gateway-listeners.ts';
import type { KeptDocument } from './kept-objects.ts';

/** A Gateway of a class of ours, and what becomes of it. */
export interface CheckedGateway extends ListenerOwner {
  /** In order of precedence. */
  readonly sets: readonly CheckedListenerSet[];
  /** Why it is not accepted, whatever its listeners are. */
  readonly refused: Fault | undefined;
  /** Presented to backends that speak TLS; absent: none is asked for. */
  readonly clientCertificate?: CheckedClientCertificate;
}

/** `sets`: those that name it, whether it wants them or not. */
export function checkGateway(
  document: KeptDocument,
  sets: readonly KeptDocument[],
  world: ListenerSetWorld,
): CheckedGateway {
  const clientCertificate = checkClientCertificate(document, world);
  const listeners = checkListeners(document, world);
  const refused = refusal(document);
  const accepted = refused === undefined && listeners.some((one) => one.refused === undefined);
  return {
    document,
    listeners,
    sets: checkListenerSets(document, listeners, sets, accepted, world),
    refused,
    ...(clientCertificate !== undefined && { clientCertificate }),
  };
}

/** Its own listeners, and those of the ListenerSets that are attached to it. */
export function allListeners({ listeners, sets }: CheckedGateway): CheckedListener[] {
  return [...listeners, ...sets.flatMap((set) => set.listeners)];
}

function refusal(document: KeptDocument): Fault | undefined {
  const { addresses = [], infrastructure } = gatewaySpec(document);
  const ref = infrastructure?.parametersRef;
  const error = { severity: 'error' as const };
  if (ref !== undefined) {
    const problem = {
      ...error,
      field: 'spec.infrastructure.parametersRef',
      value: `${ref.group ?? ''}/${ref.kind ?? ''} ${ref.name ?? ''}`,
      message: 'is not a kind of parameters that is understood',
      meant: 'leave it out',
    };
    return { reason: 'InvalidParameters', problem };
  }
  const index = addresses.findIndex(({ type = 'IPAddress' }) => type !== 'IPAddress');
  const odd = addresses[index];
  if (odd === undefined) return undefined;
  const problem = {
    ...error,
    field: `spec.addresses[${index}].type`,
    value: JSON.stringify(odd.type),
    message: 'is not a type of address that can be asked for',
    meant: 'write IPAddress',
  };
  return { reason: 'UnsupportedAddress', problem };
}
