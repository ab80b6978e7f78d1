import type { CheckedBackendTls } from '../registry/kubernetes/checked-backend-tls.ts';
import { CONTROLLER } from '../registry/kubernetes/known-gateways.ts';
import type { KnownObjects } from '../registry/kubernetes/known-objects.ts';
import type { SeenDocument } from '../registry/kubernetes/seen-documents.ts';
import { type Condition, condition, problemWords, withTimes } from './conditions.ts';
import { entriesInPlace } from './entries-in-place.ts';

/** As many as the API server takes. */
const MAX_ANCESTORS = 16;

type Known = Pick<KnownObjects, 'backendTls' | 'gateways' | 'routes' | 'workloads'>;

interface AncestorRef {
  readonly group: string;
  readonly kind: 'Gateway' | 'Service';
  readonly namespace: string;
  readonly name: string;
}

interface Ancestor {
  readonly ancestorRef: AncestorRef;
  readonly controllerName: string;
  readonly conditions?: unknown;
}

/**
 * The status of a BackendTLSPolicy: the same conditions for each Gateway of ours that calls its Services, or for the
 * Services themselves where none does; undefined while it is not known what its ConfigMaps hold.
 */
export function backendTlsStatus(seen: SeenDocument, known: Known, now: Date): object | undefined {
  const key = `${seen.kept.namespace}/${seen.kept.name}`;
  const policy = known.backendTls.policy(key);
  if (policy === undefined || policy.pending) return undefined;
  const before = ancestorsIn(seen.status);
  const conditions = [acceptedCondition(key, policy, known), resolvedRefsCondition(policy)];
  const theirs = before.filter(({ controllerName }) => controllerName !== CONTROLLER);
  const ours = ancestorsOf(policy, known)
    .slice(0, Math.max(0, MAX_ANCESTORS - theirs.length))
    .map((ancestorRef) => {
      const old = before.find(
        (one) => one.controllerName === CONTROLLER && isSame(one.ancestorRef, ancestorRef),
      );
      return {
        ancestorRef,
        controllerName: CONTROLLER,
        conditions: withTimes(conditions, old?.conditions, now),
      };
    });
  return { ancestors: entriesInPlace(before, ours, (one, own) => isSame(one.ancestorRef, own.ancestorRef)) };
}

function acceptedCondition(key: string, policy: CheckedBackendTls, known: Known): Condition {
  const { document, targets, tls } = policy;
  const { generation } = document;
  const conflicts = known.backendTls.conflicts(key);
  const taken = conflicts.map(
    ({ target, winner }) =>
      `spec.targetRefs[${target.index}]: BackendTLSPolicy ${winner} is older and about the same`,
  );
  const missing = targets.flatMap((target) => notFound(target, known) ?? []);
  const accepted = { reason: 'Accepted', message: [...taken, ...missing].join('. ') };
  const refused = (reason: string, message: string) =>
    condition('Accepted', generation, accepted, { reason, message });
  if (targets.length > 0 && taken.length === targets.length) return refused('Conflicted', taken.join('. '));
  if (targets.length > 0 && missing.length === targets.length)
    return refused('TargetNotFound', missing.join('. '));
  if (tls.invalid === undefined) return condition('Accepted', generation, accepted);
  const reason = policy.invalid?.reason ?? 'NoValidCACertificate';
  return refused(reason, `${tls.invalid}: calls to its Services fail`);
}

function notFound({ index, service, section }: CheckedBackendTls['targets'][number], known: Known) {
  const there = known.workloads.service(service);
  const where = `spec.targetRefs[${index}]`;
  if (there === undefined) return `${where}: Service ${service} does not exist`;
  if (section === undefined || there.ports.some(({ name }) => name === section)) return undefined;
  return `${where}.sectionName: "${section}" is no TCP port of Service ${service}`;
}

function resolvedRefsCondition({ document, unresolved }: CheckedBackendTls): Condition {
  const [first] = unresolved;
  return condition(
    'ResolvedRefs',
    document.generation,
    { reason: 'ResolvedRefs' },
    first && { reason: first.reason, message: problemWords(unresolved.map(({ problem }) => problem)) },
  );
}

function ancestorsOf({ targets, document }: CheckedBackendTls, known: Known): AncestorRef[] {
  const services = new Set(targets.map(({ service }) => service));
  const gateways = [...known.gateways.all()]
    .map(([key]) => key)
    .filter((key) => calls(key, services, known))
    .sort();
  if (gateways.length > 0)
    return gateways.map((key) => {
      const [namespace = '', name = ''] = key.split('/', 2);
      return { group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace, name };
    });
  return [...services].map((key) => ({
    group: '',
    kind: 'Service',
    namespace: document.namespace,
    name: key.split('/', 2)[1] ?? '',
  }));
}

/** Whether a route of a Gateway has one of the Services as a backend. */
function calls(gateway: string, services: ReadonlySet<string>, known: Known): boolean {
  return known.routes
    .attachedTo(`gateway ${gateway}`)
    .some(({ route }) =>
      route.rules.some(({ backends }) =>
        backends.some(({ service }) => services.has(service.split(':', 1)[0] ?? '')),
      ),
    );
}

function ancestorsIn(status: unknown): readonly Ancestor[] {
  return (status as { ancestors?: readonly Ancestor[] } | undefined)?.ancestors ?? []; // the API server checked it
}

/** Parts that are not written mean what ours say. */
function isSame(written: Partial<AncestorRef>, own: AncestorRef): boolean {
  return (
    written.kind === own.kind &&
    written.name === own.name &&
    (written.namespace ?? own.namespace) === own.namespace
  );
}
