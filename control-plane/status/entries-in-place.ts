import { CONTROLLER } from '../registry/kubernetes/known-gateways.ts';

/**
 * A list of a status in which each controller has entries: those of others as they were, ours in place of ours before.
 * Each stays where it is: of two controllers that put their own last neither would ever be content.
 */
export function entriesInPlace<T extends { readonly controllerName?: string }>(
  before: readonly T[],
  ours: readonly T[],
  isSame: (before: T, own: T) => boolean,
): T[] {
  const fresh = [...ours];
  const kept = before.flatMap((one) => {
    if (one.controllerName !== CONTROLLER) return [one];
    const at = fresh.findIndex((own) => isSame(one, own));
    return at < 0 ? [] : fresh.splice(at, 1);
  });
  return [...kept, ...fresh];
}
