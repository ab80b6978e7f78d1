import type { SeenDocument } from '../registry/kubernetes/seen-documents.ts';
import { condition, withTimes } from './conditions.ts';
import { SUPPORTED_FEATURES } from './supported-features.ts';

/** The status of a GatewayClass of ours. */
export function gatewayClassStatus({ kept, status }: SeenDocument, now: Date): object {
  const spec = kept.document.spec as { parametersRef?: unknown } | undefined;
  const accepted = condition(
    'Accepted',
    kept.generation,
    { reason: 'Accepted' },
    spec?.parametersRef === undefined
      ? undefined
      : {
          reason: 'InvalidParameters',
          message:
            'spec.parametersRef is not understood: how gateways are run is told by flags of the control plane',
        },
  );
  return {
    conditions: withTimes([accepted], (status as { conditions?: unknown } | undefined)?.conditions, now),
    supportedFeatures: SUPPORTED_FEATURES.map((name) => ({ name })),
  };
}
