import { type Route, type RouteRule, TLS_ROUTE } from './route.ts';
import type { TrafficField, TrafficSettings } from './traffic-policy.ts';

/** What a TrafficPolicy about a route says in place of what its service says. */
export interface RoutePolicy {
  readonly set: Partial<TrafficSettings>;
  /** What a value like `off` takes away. */
  readonly unset: readonly (keyof TrafficSettings)[];
}

/** A policy about a whole route, or about its rule of the name `section`. */
export interface AttachedPolicy {
  readonly section?: string;
  readonly policy: RoutePolicy;
}

/** Fields that a rule of a route can have of its own, since they steer single requests. */
const ON_ROUTES: ReadonlySet<string> = new Set([
  'timeout',
  'try-timeout',
  'idle-timeout',
  'retries',
  'hedge',
  'fault',
  'direct-response',
  'rewrite',
  'sticky',
]);

/** They act at the server's sidecar, by whatever route a request comes. */
const PROTECTING: ReadonlySet<string> = new Set(['rate-limit', 'mtls', 'allow']);

/** Why a field cannot be written of a route; undefined: it can. */
export function notOnRoutes(field: TrafficField): string | undefined {
  if (ON_ROUTES.has(field)) return undefined;
  return PROTECTING.has(field)
    ? 'protects a service, by whatever route it is called: a policy about a route or a Gateway cannot say it'
    : 'belongs to a service and its endpoints: a policy about a route or a Gateway cannot say it';
}

/** One policy below another: what `above` says counts. */
export function joined(
  below: RoutePolicy | undefined,
  above: RoutePolicy | undefined,
): RoutePolicy | undefined {
  if (below === undefined || above === undefined) return above ?? below;
  const hidden = new Set<string>(above.unset);
  const kept = Object.entries(below.set).filter(([field]) => !hidden.has(field));
  const gone = below.unset.filter((field) => !(field in above.set) && !hidden.has(field));
  return { set: { ...Object.fromEntries(kept), ...above.set }, unset: [...gone, ...above.unset] };
}

/** Of policies about a route, the later above the earlier, what they say of a rule: those that name it go first. */
export function policyOfRule(
  policies: readonly AttachedPolicy[],
  rule: string | undefined,
): RoutePolicy | undefined {
  const own = policies.filter(({ section }) => section !== undefined && section === rule);
  return [...policies.filter(({ section }) => section === undefined), ...own]
    .map(({ policy }) => policy)
    .reduce<RoutePolicy | undefined>(joined, undefined);
}

/** What holds for a request of a rule, whose service says `settings`. */
export function settingsWith(settings: TrafficSettings, policy: RoutePolicy | undefined): TrafficSettings {
  if (policy === undefined) return settings;
  const result: Partial<Record<keyof TrafficSettings, unknown>> = { ...settings, ...policy.set };
  for (const field of policy.unset) delete result[field];
  return result as TrafficSettings; // only fields that may be absent can be unset
}

/** A route whose rules have the policies that are about them. */
export function withPolicies(route: Route, policyOf: (rule: RouteRule) => RoutePolicy | undefined): Route {
  return {
    ...route,
    rules: route.rules.map((rule) => {
      const policy = policyOf(rule);
      return policy === undefined ? rule : { ...rule, policy };
    }),
  };
}

/** A route as it is served by a Gateway about which there is a policy: below what is said of the route itself. */
export function atGateway(route: Route, policy: RoutePolicy | undefined): Route {
  if (policy === undefined || route.kind === TLS_ROUTE) return route;
  return withPolicies(route, (rule) => joined(policy, rule.policy));
}

/** What is wrong with a sectionName that is none of the `names` of a route's rules; undefined: the target has no rules. */
export function sectionProblem(names: readonly string[] | undefined): { message: string; meant: string } {
  if (names === undefined)
    return { message: 'names a rule, and only routes have rules', meant: 'remove it, or target a route' };
  const meant = names.length === 0 ? 'give the rule that is meant a name' : `there are ${names.join(', ')}`;
  return { message: 'is the name of none of the rules of the route', meant };
}
