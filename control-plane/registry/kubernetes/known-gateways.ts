import { isDeepStrictEqual } from 'node:util';
import type { AuthorityState } from './backend-authorities.ts';
import { type CheckedGateway, checkGateway } from './checked-gateway.ts';
import type { Fault, ListenerOwner } from './checked-listener.ts';
import type { CheckedListenerSet, ListenerSetWorld } from './checked-listener-set.ts';
import { clientAuthorityKeys } from './client-authorities.ts';
import type { ClientCertificateFault } from './client-certificate.ts';
import { clientCertificateRef, endsTls, gatewaySpec } from './gateway-listeners.ts';
import { IndexOf } from './index-of.ts';
import type { KeptDocument, KeptNamespace } from './kept-objects.ts';
import { KnownListenerSets, setsByKey } from './known-listener-sets.ts';
import { maySee, type SecretState, secretKey } from './listener-certificates.ts';
import type { ObjectProblem } from './object-problem.ts';
import type { ProblemBook } from './problem-book.ts';
import { namerOf } from './reference-grants.ts';

export const CONTROLLER = 'tulle.dev/gateway-controller';

interface SetOfGateway {
  readonly gateway: string;
  readonly set: CheckedListenerSet;
}

/** Who is told of changes, and what else is looked up. */
export interface GatewayNeighbours {
  /** A Gateway looks different. */
  gatewayChanged(key: string): void;
  /** A ListenerSet looks different. */
  listenerSetChanged(key: string): void;
  namespace(name: string): KeptNamespace | undefined;
}

/**
 * Gateways and what they depend on: their classes, ListenerSets, ReferenceGrants, and the Secrets and ConfigMaps that
 * they name. A Gateway is checked anew (`settle`), with its ListenerSets, when it or something that they name has changed.
 */
export class KnownGateways implements ListenerSetWorld {
  private readonly documents = new Map<string, KeptDocument>();
  private readonly checked = new Map<string, CheckedGateway>();
  private readonly checkedSets = new Map<string, SetOfGateway>();
  /** Names of classes of ours. */
  private readonly classes = new Set<string>();
  private readonly grants = new Map<string, KeptDocument>();
  private readonly grantsByNamespace = new IndexOf();
  private readonly secrets = new Map<string, SecretState>();
  private readonly authorities = new Map<string, AuthorityState>();
  private readonly sets = new KnownListenerSets();
  /** `Gateway ns/name` and `ListenerSet ns/name` by what they name: `secret`, `configmap`, `grants` or `namespace` and its key. */
  private readonly byReference = new IndexOf();
  private readonly unsettled = new Set<string>();
  private readonly problems: ProblemBook;
  private readonly neighbours: GatewayNeighbours;

  constructor(problems: ProblemBook, neighbours: GatewayNeighbours) {
    this.problems = problems;
    this.neighbours = neighbours;
  }

  /** A Gateway of a class of ours; undefined for all others. */
  gateway(key: string): CheckedGateway | undefined {
    return this.checked.get(key);
  }

  /** All Gateways of classes of ours. */
  all(): Iterable<[key: string, gateway: CheckedGateway]> {
    return this.checked;
  }

  /** Whether there is such a Gateway, of whatever class. */
  exists(key: string): boolean {
    return this.documents.has(key);
  }

  /** A ListenerSet that names a Gateway of a class of ours, and that Gateway's key; undefined for all others. */
  listenerSet(key: string): SetOfGateway | undefined {
    return this.checkedSets.get(key);
  }

  /** Whether there is such a ListenerSet, for whatever Gateway. */
  listenerSetExists(key: string): boolean {
    return this.sets.get(key) !== undefined;
  }

  isOurClass(name: string): boolean {
    return this.classes.has(name);
  }

  grantsIn(namespace: string): KeptDocument[] {
    return [...this.grantsByNamespace.get(namespace)].flatMap((key) => this.grants.get(key) ?? []);
  }

  namespace(name: string): KeptNamespace | undefined {
    return this.neighbours.namespace(name);
  }

  secret(key: string): SecretState {
    return this.secrets.get(key);
  }

  authority(key: string): AuthorityState {
    return this.authorities.get(key);
  }

  putGateway(key: string, kept: KeptDocument): void {
    const before = this.documents.get(key);
    if (isDeepStrictEqual(before, kept)) return;
    this.unindex(key, before);
    this.documents.set(key, kept);
    this.index(key, kept);
    this.unsettled.add(key);
    if (before === undefined) this.neighbours.gatewayChanged(key); // also of another's class: routes need not say that it does not exist
  }

  removeGateway(key: string): void {
    this.unindex(key, this.documents.get(key));
    if (!this.documents.delete(key)) return;
    this.unsettled.add(key);
    this.neighbours.gatewayChanged(key);
  }

  putListenerSet(key: string, kept: KeptDocument): void {
    if (isDeepStrictEqual(this.sets.get(key), kept)) return;
    this.removeListenerSet(key);
    this.sets.put(key, kept);
    this.index(key, kept);
    this.listenerSetChanged(key);
  }

  removeListenerSet(key: string): void {
    const before = this.sets.get(key);
    if (before === undefined) return;
    this.unindex(key, before);
    this.listenerSetChanged(key);
    this.sets.remove(key);
  }

  /** A Namespace came, went or has other labels. */
  namespaceChanged(name: string): void {
    this.referenceChanged(`namespace ${name}`);
  }

  putClass(name: string, kept: KeptDocument): void {
    const spec = kept.document.spec as { controllerName?: unknown } | undefined;
    if (spec?.controllerName !== CONTROLLER) this.removeClass(name);
    else if (!this.classes.has(name)) {
      this.classes.add(name);
      this.classChanged(name);
    }
  }

  removeClass(name: string): void {
    if (this.classes.delete(name)) this.classChanged(name);
  }

  putGrant(key: string, kept: KeptDocument): void {
    this.grants.set(key, kept);
    this.grantsByNamespace.add(kept.namespace, key);
    this.referenceChanged(`grants ${kept.namespace}`);
  }

  /** The namespace whose grant it was. */
  removeGrant(key: string): string | undefined {
    const grant = this.grants.get(key);
    if (grant === undefined) return undefined;
    this.grants.delete(key);
    this.grantsByNamespace.delete(grant.namespace, key);
    this.referenceChanged(`grants ${grant.namespace}`);
    return grant.namespace;
  }

  /** What was read of a Secret; undefined: nobody wants it any more. */
  putSecret(key: string, state: SecretState): void {
    if (isDeepStrictEqual(this.secrets.get(key), state)) return;
    if (state === undefined) this.secrets.delete(key);
    else this.secrets.set(key, state);
    this.referenceChanged(`secret ${key}`);
  }

  /** What was read of a ConfigMap; undefined: nobody wants it any more. */
  putAuthority(key: string, state: AuthorityState): void {
    if (isDeepStrictEqual(this.authorities.get(key), state)) return;
    if (state === undefined) this.authorities.delete(key);
    else this.authorities.set(key, state);
    this.referenceChanged(`configmap ${key}`);
  }

  /** Keys of the ConfigMaps that Gateways of ours name and may see. */
  wantedAuthorities(): Set<string> {
    const wanted = new Set<string>();
    for (const { document } of this.checked.values())
      for (const key of clientAuthorityKeys(document))
        if (maySee(key, namerOf(document), (name) => this.grantsIn(name), 'ConfigMap')) wanted.add(key);
    return wanted;
  }

  /** Keys of the Secrets that Gateways of ours, and ListenerSets that are attached to them, name and may see. */
  wantedSecrets(): Set<string> {
    const owners = [...this.checked.values()].flatMap((gateway) => [gateway, ...gateway.sets]);
    return new Set(owners.flatMap((owner) => this.secretsOf(owner)));
  }

  private secretsOf({ document, listeners }: ListenerOwner): string[] {
    const own = clientCertificateRef(document);
    const ofListeners = listeners.flatMap(
      ({ listener }) => (endsTls(listener) && listener.tls?.certificateRefs) || [],
    );
    const keys = (own === undefined ? ofListeners : [own, ...ofListeners]).flatMap(
      (ref) => secretKey(ref, document.namespace) ?? [],
    );
    return keys.filter((key) => maySee(key, namerOf(document), (name) => this.grantsIn(name)));
  }

  settle(): void {
    for (const key of this.unsettled) {
      const document = this.documents.get(key);
      const ours = document !== undefined && this.classes.has(gatewaySpec(document).gatewayClassName ?? '');
      const before = this.checked.get(key);
      const after = ours ? checkGateway(document, this.sets.of(key), this) : undefined;
      this.problems.set(`Gateway ${key}`, problemsOf(after));
      if (isDeepStrictEqual(before, after)) continue;
      if (after === undefined) this.checked.delete(key);
      else this.checked.set(key, after);
      this.settleSets(key, before, after);
      this.neighbours.gatewayChanged(key);
    }
    this.unsettled.clear();
  }

  private settleSets(
    key: string,
    before: CheckedGateway | undefined,
    after: CheckedGateway | undefined,
  ): void {
    const was = setsByKey(before);
    const now = setsByKey(after);
    for (const [name, set] of now) {
      if (isDeepStrictEqual(was.get(name), set)) continue;
      this.checkedSets.set(name, { gateway: key, set });
      this.problems.set(`ListenerSet ${name}`, toldFaults(set.document, faultsOf(set)));
      this.neighbours.listenerSetChanged(name);
    }
    for (const name of was.keys()) {
      // It may be another Gateway's already.
      if (now.has(name) || this.checkedSets.get(name)?.gateway !== key) continue;
      this.checkedSets.delete(name);
      this.problems.set(`ListenerSet ${name}`, []);
      this.neighbours.listenerSetChanged(name);
    }
  }

  private listenerSetChanged(key: string): void {
    const gateway = this.sets.gatewayOf(key);
    if (gateway !== undefined) this.unsettled.add(gateway);
    this.neighbours.listenerSetChanged(key);
  }

  private referenceChanged(reference: string): void {
    for (const owner of this.byReference.get(reference)) {
      const [kind, key = ''] = owner.split(' ', 2);
      const gateway = kind === 'Gateway' ? key : this.sets.gatewayOf(key);
      if (gateway !== undefined) this.unsettled.add(gateway);
    }
  }

  private index(key: string, kept: KeptDocument): void {
    for (const reference of referencesOf(kept))
      this.byReference.add(reference, `${kept.reference.kind} ${key}`);
  }

  private classChanged(name: string): void {
    for (const [key, gateway] of this.documents)
      if (gatewaySpec(gateway).gatewayClassName === name) this.unsettled.add(key);
  }

  private unindex(key: string, kept: KeptDocument | undefined): void {
    if (kept === undefined) return;
    for (const reference of referencesOf(kept))
      this.byReference.delete(reference, `${kept.reference.kind} ${key}`);
  }
}

function referencesOf(kept: KeptDocument): Set<string> {
  const references = new Set<string>();
  // Its labels settle whether it is let in.
  if (kept.reference.kind === 'ListenerSet') references.add(`namespace ${kept.namespace}`);
  const own = clientCertificateRef(kept);
  const ofListeners = (gatewaySpec(kept).listeners ?? []).flatMap(({ tls }) => tls?.certificateRefs ?? []);
  for (const ref of own === undefined ? ofListeners : [own, ...ofListeners]) {
    const key = secretKey(ref, kept.namespace);
    if (key === undefined) continue;
    references.add(`secret ${key}`);
    references.add(`grants ${key.split('/', 1)[0]}`);
  }
  for (const key of clientAuthorityKeys(kept)) {
    references.add(`configmap ${key}`);
    references.add(`grants ${key.split('/', 1)[0]}`);
  }
  return references;
}

function problemsOf(gateway: CheckedGateway | undefined): ObjectProblem[] {
  if (gateway === undefined) return [];
  const { document, clientCertificate } = gateway;
  return toldFaults(document, [...faultsOf(gateway), ...(clientCertificate?.wrong ?? [])]);
}

function faultsOf({ refused, listeners }: CheckedGateway | CheckedListenerSet): Fault[] {
  const ofListeners = listeners.flatMap((one) => [...(one.refused ? [one.refused] : []), ...one.unresolved]);
  return refused === undefined ? ofListeners : [refused, ...ofListeners];
}

function toldFaults(
  { reference }: KeptDocument,
  faults: readonly (Fault | ClientCertificateFault)[],
): ObjectProblem[] {
  return faults.map(({ reason, problem }) => ({ reference, problem, reason }));
}
