import type { RouteRule } from '../../protocol/route.ts';
import type { Filter } from './filter.ts';
import { requestHeaders, responseHeaders } from './headers.ts';
import { redirect } from './redirect.ts';
import { rewrite } from './rewrite.ts';

/** The filters that a route rule asks for, in the order in which they act. */
export function routeFilters(rule: RouteRule | undefined): Filter[] {
  if (rule === undefined) return [];
  const filters: Filter[] = [];
  if (rule.redirect !== undefined) filters.push(redirect(rule.redirect));
  if (rule.requestHeaders !== undefined) filters.push(requestHeaders(rule.requestHeaders));
  if (rule.rewrite !== undefined) filters.push(rewrite(rule));
  if (rule.responseHeaders !== undefined) filters.push(responseHeaders(rule.responseHeaders));
  return filters;
}
