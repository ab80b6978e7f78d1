import { isDeepStrictEqual } from 'node:util';
import type { BackendTls } from '../../../protocol/backend-tls.ts';
import type { AuthorityState } from './backend-authorities.ts';
import {
  authorityKeys,
  type BackendTarget,
  type CheckedBackendTls,
  checkBackendTls,
} from './checked-backend-tls.ts';
import { IndexOf } from './index-of.ts';
import type { KeptDocument, KeptServicePort } from './kept-objects.ts';
import type { ProblemBook } from './problem-book.ts';

/**
 * BackendTLSPolicies and the ConfigMaps that they name. A policy is checked anew when it or one of them has changed;
 * the Services that it is about are told.
 */
export class KnownBackendTls {
  private readonly checked = new Map<string, CheckedBackendTls>();
  private readonly byService = new IndexOf();
  private readonly byAuthority = new IndexOf();
  private readonly authorities = new Map<string, AuthorityState>();
  private readonly problems: ProblemBook;
  private readonly touchService: (key: string) => void;

  constructor(problems: ProblemBook, touchService: (key: string) => void) {
    this.problems = problems;
    this.touchService = touchService;
  }

  policy(key: string): CheckedBackendTls | undefined {
    return this.checked.get(key);
  }

  put(key: string, kept: KeptDocument): void {
    const before = this.checked.get(key);
    if (isDeepStrictEqual(before?.document, kept)) return;
    this.unindex(key, before);
    for (const authority of authorityKeys(kept)) this.byAuthority.add(authority, key);
    this.check(key, kept, before);
  }

  remove(key: string): void {
    const before = this.checked.get(key);
    this.unindex(key, before);
    this.checked.delete(key);
    this.problems.set(`BackendTLSPolicy ${key}`, []);
    this.touch(before?.targets);
  }

  /** What was read of a ConfigMap; undefined: nobody wants it any more. */
  putAuthority(key: string, state: AuthorityState): void {
    if (isDeepStrictEqual(this.authorities.get(key), state)) return;
    if (state === undefined) this.authorities.delete(key);
    else this.authorities.set(key, state);
    for (const policy of this.byAuthority.get(key)) {
      const before = this.checked.get(policy);
      if (before !== undefined) this.check(policy, before.document, before);
    }
  }

  /** Keys of the ConfigMaps that policies name. */
  wantedAuthorities(): Set<string> {
    return new Set([...this.checked.values()].flatMap(({ document }) => authorityKeys(document)));
  }

  /** How a port of a Service is called; absent: in plain text. A policy for the port goes before one for the Service. */
  tlsOf(service: string, { name }: Pick<KeptServicePort, 'name'>): BackendTls | undefined {
    const policy = this.winner(service, name === '' ? undefined : name) ?? this.winner(service, undefined);
    return policy?.tls;
  }

  /** Which of a policy's targets an older one has taken, and which. */
  conflicts(key: string): { target: BackendTarget; winner: string }[] {
    return (this.checked.get(key)?.targets ?? []).flatMap((target) => {
      const winner = this.winner(target.service, target.section)?.tls.policy ?? key;
      return winner === key ? [] : [{ target, winner }];
    });
  }

  /** Of those for the same thing, the oldest (Gateway API, policy attachment). */
  private winner(service: string, section: string | undefined): CheckedBackendTls | undefined {
    let oldest: CheckedBackendTls | undefined;
    for (const key of this.byService.get(service)) {
      const policy = this.checked.get(key);
      const aims = policy?.targets.some((one) => one.service === service && one.section === section);
      if (policy === undefined || !aims) continue;
      if (oldest === undefined || orderOf(policy) < orderOf(oldest)) oldest = policy;
    }
    return oldest;
  }

  private check(key: string, kept: KeptDocument, before: CheckedBackendTls | undefined): void {
    const checked = checkBackendTls(kept, (authority) => this.authorities.get(authority));
    // Until what it names now was read, what it said before holds: to name another ConfigMap must not fail calls.
    const after = checked.pending && before !== undefined ? { ...checked, tls: before.tls } : checked;
    this.checked.set(key, after);
    for (const { service } of after.targets) this.byService.add(service, key);
    const faults = [...after.unresolved, ...(after.invalid === undefined ? [] : [after.invalid])];
    const { reference } = kept;
    this.problems.set(
      `BackendTLSPolicy ${key}`,
      faults.map(({ reason, problem }) => ({ reference, problem, reason })),
    );
    this.touch(before?.targets);
    this.touch(after.targets);
  }

  private touch(targets: readonly BackendTarget[] = []): void {
    for (const { service } of targets) this.touchService(service);
  }

  private unindex(key: string, before: CheckedBackendTls | undefined): void {
    if (before === undefined) return;
    for (const { service } of before.targets) this.byService.delete(service, key);
    for (const authority of authorityKeys(before.document)) this.byAuthority.delete(authority, key);
  }
}

function orderOf({ document: { created, namespace, name } }: CheckedBackendTls): string {
  return `${created} ${namespace}/${name}`;
}
