import type { RouteRule } from '../../protocol/route.ts';
import type { TrafficSettings } from '../../protocol/traffic-policy.ts';
import { backendHeaders } from './backend-headers.ts';
import { cors } from './cors.ts';
import { directResponse } from './direct-response.ts';
import { fault } from './fault.ts';
import type { Filter } from './filter.ts';
import { requestHeaders, responseHeaders } from './headers.ts';
import { redirect } from './redirect.ts';
import { regexRewrite } from './regex-rewrite.ts';
import { rewrite } from './rewrite.ts';
import { sticky } from './sticky.ts';

type Steering = Pick<TrafficSettings, 'faults' | 'directResponse' | 'rewrites' | 'sticky'>;

/**
 * The filters that a route rule and the settings of its requests ask for, in the order in which they act. `self`: the
 * workload whose calls go out here, `namespace/serviceaccount`.
 */
export function routeFilters(rule: RouteRule | undefined, steering: Steering = {}, self = ''): Filter[] {
  const filters: Filter[] = [];
  // First of all, so that pages may read what is answered below.
  if (rule?.cors !== undefined) filters.push(cors(rule.cors));
  for (const one of steering.faults ?? []) if (one.share > 0) filters.push(fault(one));
  if (steering.directResponse !== undefined) filters.push(directResponse(steering.directResponse));
  if (rule?.redirect !== undefined) filters.push(redirect(rule.redirect, rule.matches));
  if (rule?.requestHeaders !== undefined) filters.push(requestHeaders(rule.requestHeaders));
  if (rule?.rewrite !== undefined) filters.push(rewrite(rule));
  if (steering.rewrites !== undefined && steering.rewrites.length > 0)
    filters.push(regexRewrite(steering.rewrites));
  if (steering.sticky !== undefined && hasChoice(rule)) filters.push(sticky(steering.sticky, self));
  const ofBackends = rule && backendHeaders(rule.backends);
  if (ofBackends !== undefined) filters.push(ofBackends);
  if (rule?.responseHeaders !== undefined) filters.push(responseHeaders(rule.responseHeaders));
  return filters;
}

/** Whether there is more than one backend to stay with. */
export function hasChoice(rule: RouteRule | undefined): boolean {
  return rule !== undefined && rule.backends.filter(({ weight }) => weight > 0).length > 1;
}
