import { isDeepStrictEqual } from 'node:util';
import { type AccessPolicy, accessPolicySchema } from '../../../protocol/access-policy.ts';
import { parseRouteFields } from '../../../protocol/annotations/parse.ts';
import { DEFAULT_SETTINGS } from '../../../protocol/default-settings.ts';
import type { Problem } from '../../../protocol/problem.ts';
import {
  type AttachedPolicy,
  policyOfRule,
  type RoutePolicy,
  sectionProblem,
} from '../../../protocol/route-policy.ts';
import { schemaProblems } from '../../../protocol/schema-problems.ts';
import {
  type TrafficSettings,
  trafficPolicySchema,
  trafficTargetSchema,
} from '../../../protocol/traffic-policy.ts';
import { ANNOTATIONS, POLICY_FIELDS, policyFields, ROUTE_POLICY_FIELDS } from './field-readers.ts';
import { type FieldReader, type Fields, goodFields } from './good-fields.ts';
import { IndexOf } from './index-of.ts';
import type { KeptDocument, KeptNamespace, KeptService } from './kept-objects.ts';
import type { ConditionReason, ObjectProblem } from './object-problem.ts';
import type { ObjectReference } from './object-reference.ts';
import type { ProblemBook } from './problem-book.ts';

interface GoodFields {
  /** Another object of the same name knows nothing of the first one's values. */
  readonly uid: string;
  readonly fields: Fields;
}

interface Policy<T> {
  readonly document: KeptDocument;
  /** undefined: it is about nothing that is served. */
  readonly target: PolicyTarget | undefined;
  /** Of a route: the name of the rule that is meant; absent: all. */
  readonly section?: string;
  readonly content: T;
}

/** What a policy is about: its kind, and `namespace/name`. */
export type PolicyTarget = `${'Service' | 'Gateway' | 'HTTPRoute' | 'GRPCRoute'} ${string}`;

type Told = (problem: Problem, reason: ConditionReason) => void;

/**
 * Annotations, TrafficPolicies and AccessPolicies, and the settings that come of them. A change tells the
 * Services, routes and Gateways that may be treated differently now.
 */
export class KnownPolicies {
  private readonly good = new Map<string, GoodFields>();
  private readonly traffic = new Map<string, Policy<undefined>>();
  private readonly access = new Map<string, Policy<AccessPolicy>>();
  private readonly trafficByTarget = new IndexOf();
  private readonly accessByTarget = new IndexOf();
  private readonly problems: ProblemBook;
  private readonly touch: (target: PolicyTarget) => void;

  constructor(problems: ProblemBook, touch: (target: PolicyTarget) => void) {
    this.problems = problems;
    this.touch = touch;
  }

  putService(key: string, { reference, annotations }: KeptService): void {
    this.takeFields(`Service ${key}`, reference, annotations, ANNOTATIONS);
  }

  removeService(key: string): void {
    this.forget(`Service ${key}`);
  }

  putNamespace({ name, reference, annotations }: KeptNamespace): void {
    this.takeFields(`Namespace ${name}`, reference, annotations, ANNOTATIONS);
  }

  removeNamespace(name: string): void {
    this.forget(`Namespace ${name}`);
  }

  putTraffic(key: string, kept: KeptDocument): void {
    const before = this.traffic.get(key);
    if (isDeepStrictEqual(before?.document, kept)) return;
    const id = `TrafficPolicy ${key}`;
    this.removeIndexed(this.traffic, this.trafficByTarget, key);
    const { problems, tell } = collector(kept.reference);
    const read = trafficPolicySchema.safeParse(kept.document);
    if (!read.success)
      for (const one of schemaErrors(trafficPolicySchema, read.error, kept)) tell(one, 'Invalid');
    const spec = (kept.document.spec ?? {}) as Record<string, unknown>; // checked field by field
    const { target, section } = trafficTarget(spec.targetRef, kept, tell);
    this.traffic.set(key, {
      document: kept,
      target,
      content: undefined,
      ...(section !== undefined && { section }),
    });
    if (target !== undefined) this.trafficByTarget.add(target, key);
    this.takeFields(id, kept.reference, policyFields(spec), readerFor(target));
    this.problems.set(`${id} document`, problems);
    if (target !== undefined) this.touch(target);
  }

  removeTraffic(key: string): void {
    this.removeIndexed(this.traffic, this.trafficByTarget, key);
    this.forget(`TrafficPolicy ${key}`);
  }

  putAccess(key: string, kept: KeptDocument): void {
    const before = this.access.get(key);
    if (isDeepStrictEqual(before?.document, kept)) return;
    const { problems, tell } = collector(kept.reference);
    const read = accessPolicySchema.safeParse(kept.document);
    // Without its last good value a policy about access would be no policy: whoever calls would be let in.
    const content = read.success ? read.data : before?.content;
    if (!read.success)
      for (const one of schemaErrors(accessPolicySchema, read.error, kept)) tell(one, 'Invalid');
    this.removeIndexed(this.access, this.accessByTarget, key);
    if (content !== undefined) {
      const target = accessTarget(content.spec.targetRef, kept, tell);
      this.access.set(key, { document: kept, target, content });
      if (target !== undefined) this.accessByTarget.add(target, key);
      tell(NOT_ENFORCED, 'UnsupportedValue');
      if (target !== undefined) this.touch(target);
    }
    this.problems.set(`AccessPolicy ${key} document`, problems);
  }

  removeAccess(key: string): void {
    this.removeIndexed(this.access, this.accessByTarget, key);
    this.forget(`AccessPolicy ${key}`);
  }

  /** Says of each policy about `target` whether there is one. `rules`: names of the rules of a route. */
  checkTargets(target: PolicyTarget, exists: boolean, rules: readonly string[] = []): void {
    const check = (kind: string, key: string, policy: Policy<unknown> | undefined) => {
      if (policy === undefined) return;
      const { problems, tell } = collector(policy.document.reference);
      const { section } = policy;
      if (!exists) tell(noTarget(target), 'TargetNotFound');
      else if (section !== undefined && !rules.includes(section))
        tell({ ...atSection(section), ...sectionProblem(rules) }, 'TargetNotFound');
      this.problems.set(`${kind} ${key} target`, problems);
    };
    for (const key of this.trafficByTarget.get(target)) check('TrafficPolicy', key, this.traffic.get(key));
    for (const key of this.accessByTarget.get(target)) check('AccessPolicy', key, this.access.get(key));
  }

  /** What holds in a namespace: the defaults under its annotations. */
  namespaceSettings(namespace: string): TrafficSettings {
    return this.settle(`Namespace ${namespace}`, ANNOTATIONS, DEFAULT_SETTINGS);
  }

  /** Defaults, then the namespace's annotations, then policies, then the Service's annotations. */
  serviceSettings(namespace: string, name: string): TrafficSettings {
    const service = `${namespace}/${name}`;
    let settings = this.namespaceSettings(namespace);
    for (const { document } of this.trafficAbout(`Service ${service}`))
      settings = this.settle(`TrafficPolicy ${document.namespace}/${document.name}`, POLICY_FIELDS, settings);
    return this.settle(`Service ${service}`, ANNOTATIONS, settings);
  }

  /** Policies about a route or a Gateway, the later above the earlier. */
  policiesAbout(target: PolicyTarget): AttachedPolicy[] {
    return this.trafficAbout(target).flatMap(({ document: { namespace, name }, section }) => {
      const good = this.good.get(`TrafficPolicy ${namespace}/${name}`);
      if (good === undefined) return [];
      const { policy } = parseRouteFields(good.fields, (field) => field);
      return [{ policy, ...(section !== undefined && { section }) }];
    });
  }

  /** What holds for all routes of a Gateway. */
  ofGateway(key: string): RoutePolicy | undefined {
    return policyOfRule(this.policiesAbout(`Gateway ${key}`), undefined);
  }

  /** Of two policies the older wins (Gateway API, policy attachment): it comes last. */
  private trafficAbout(target: PolicyTarget): Policy<undefined>[] {
    const policies = [...this.trafficByTarget.get(target)].flatMap((key) => this.traffic.get(key) ?? []);
    return policies.sort(byAge).reverse();
  }

  accessTo(service: string): AccessPolicy[] {
    return [...this.accessByTarget.get(`Service ${service}`)]
      .flatMap((key) => this.access.get(key) ?? [])
      .sort(byAge)
      .map(({ content }) => content);
  }

  private settle(id: string, reader: FieldReader, base: TrafficSettings): TrafficSettings {
    const good = this.good.get(id);
    return good === undefined ? base : reader.read(good.fields, base).settings;
  }

  private takeFields(id: string, reference: ObjectReference, written: Fields, reader: FieldReader): void {
    const before = this.good.get(id);
    const lastGood = before?.uid === reference.uid ? before.fields : {};
    const { fields, problems } = goodFields(written, lastGood, reader);
    if (Object.keys(fields).length === 0) this.good.delete(id);
    else this.good.set(id, { uid: reference.uid, fields });
    this.problems.set(
      `${id} fields`,
      problems.map((problem) => ({ reference, problem, reason: 'Invalid' })),
    );
  }

  private forget(id: string): void {
    this.good.delete(id);
    for (const aspect of ['fields', 'document', 'target']) this.problems.set(`${id} ${aspect}`, []);
  }

  private removeIndexed<T>(policies: Map<string, Policy<T>>, byTarget: IndexOf, key: string): void {
    const policy = policies.get(key);
    if (policy === undefined) return;
    policies.delete(key);
    this.problems.set(`${policy.document.reference.kind} ${key} target`, []);
    if (policy.target === undefined) return;
    byTarget.delete(policy.target, key);
    this.touch(policy.target);
  }
}

const NOT_ENFORCED: Problem = {
  severity: 'warning',
  field: 'spec',
  value: '',
  message: 'AccessPolicy is not enforced by this version: requests that it would judge are refused',
  meant: 'use the annotation tulle.dev/allow',
};

function noTarget(target: PolicyTarget): Problem {
  const message = target.startsWith('Gateway ')
    ? 'does not exist, or is of no class of this mesh'
    : 'does not exist';
  const meant = `name a ${target.split(' ', 1)[0]} of the policy's namespace`;
  return { severity: 'error', field: 'spec.targetRef', value: target, message, meant };
}

function atSection(value: string): Pick<Problem, 'severity' | 'field' | 'value'> {
  return { severity: 'error', field: 'spec.targetRef.sectionName', value };
}

function readerFor(target: PolicyTarget | undefined): FieldReader {
  return target === undefined || target.startsWith('Service ') ? POLICY_FIELDS : ROUTE_POLICY_FIELDS;
}

function collector(reference: ObjectReference): { problems: ObjectProblem[]; tell: Told } {
  const problems: ObjectProblem[] = [];
  return { problems, tell: (problem, reason) => void problems.push({ reference, problem, reason }) };
}

function schemaErrors(
  schema: Parameters<typeof schemaProblems>[0],
  error: Parameters<typeof schemaProblems>[1],
  { document }: KeptDocument,
): Problem[] {
  return schemaProblems(schema, error, document, [], { file: '', locate: () => undefined });
}

/** What a TrafficPolicy is about, and the rule of a route that is meant. */
function trafficTarget(
  written: unknown,
  kept: KeptDocument,
  tell: Told,
): { target: PolicyTarget | undefined; section?: string } {
  const read = trafficTargetSchema.safeParse(written);
  if (!read.success) return { target: undefined }; // told with the document
  const { kind, sectionName } = read.data;
  const target = localTarget(read.data, kept, tell);
  if (sectionName === undefined) return { target };
  if (kind === 'HTTPRoute' || kind === 'GRPCRoute') return { target, section: sectionName };
  // All of it would be more than what was meant.
  tell({ ...atSection(sectionName), ...sectionProblem(undefined) }, 'UnsupportedValue');
  return { target: undefined };
}

/** The Service that an AccessPolicy is about. */
function accessTarget(
  written: AccessPolicy['spec']['targetRef'],
  kept: KeptDocument,
  tell: Told,
): PolicyTarget | undefined {
  const target = localTarget(written, kept, tell);
  if (target === undefined || written.kind === 'Service') return target;
  const message = 'is not a kind for which an AccessPolicy is enforced by this version';
  tell(
    { severity: 'error', field: 'spec.targetRef', value: target, message, meant: 'target a Service' },
    'UnsupportedValue',
  );
  return undefined;
}

/** Of another namespace: whoever owns that would know nothing of the policy. */
function localTarget(
  { kind, name, namespace: other }: AccessPolicy['spec']['targetRef'],
  { namespace }: KeptDocument,
  tell: Told,
): PolicyTarget | undefined {
  if (other === undefined || other === namespace) return `${kind} ${namespace}/${name}`;
  const value = `${kind} ${other}/${name}`;
  const message = 'is in another namespace than the policy';
  const meant = `write the policy in the namespace of the ${kind}`;
  tell({ severity: 'error', field: 'spec.targetRef', value, message, meant }, 'RefNotPermitted');
  return undefined;
}

function byAge(a: Policy<unknown>, b: Policy<unknown>): number {
  return orderOf(a.document) < orderOf(b.document) ? -1 : 1;
}

function orderOf({ created, namespace, name }: KeptDocument): string {
  return `${created} ${namespace}/${name}`;
}
