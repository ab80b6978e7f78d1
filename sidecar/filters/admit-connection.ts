import { judgeUnenforced } from './access-policy.ts';
import { judgeAllowed } from './authorize.ts';
import type { Protector } from './protector.ts';
import { judgeMtls } from './require-mtls.ts';
import type { Caller, Verdict } from './verdict.ts';

/**
 * What protects a workload, applied to a connection whose bytes are not looked at: the same decisions as for
 * requests, in the same order. Returns the verdicts; the last one may have refused.
 */
export function connectionAdmission(
  protectors: readonly Protector[],
): (caller: Caller) => readonly Verdict[] {
  const judges = protectors.flatMap(judgesOf);
  return (caller) => {
    const verdicts: Verdict[] = [];
    for (const judge of judges) {
      const verdict = judge(caller);
      if (verdict !== undefined) verdicts.push(verdict);
      if (verdict?.answer !== undefined) break;
    }
    return verdicts;
  };
}

function judgesOf({
  key,
  namespace,
  settings,
  access,
}: Protector): ((caller: Caller) => Verdict | undefined)[] {
  const judges: ((caller: Caller) => Verdict | undefined)[] = [];
  if (settings.mtls === 'strict') judges.push(judgeMtls(key));
  if (settings.allow !== undefined) judges.push(judgeAllowed(settings.allow, namespace, key));
  if (access.length > 0) {
    const verdict = judgeUnenforced(access, key);
    judges.push(() => verdict);
  }
  return judges;
}
