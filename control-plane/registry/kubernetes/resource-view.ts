import { createHash } from 'node:crypto';
import type { Resource } from '../../../protocol/resources.ts';

/** A resource as its several callers see it. */
export interface ResourceView {
  readonly resource: Resource | undefined;
  /** What callers of some namespaces see in its place: they have routes of their own. */
  readonly byNamespace: ReadonlyMap<string, Resource>;
  /** Of all that anybody sees; '' when there is nothing. */
  readonly version: string;
}

const EMPTY: ReadonlyMap<string, Resource> = new Map();

/** The view of a resource that is the same for all. */
export function sameForAll(resource: Resource | undefined): ResourceView {
  return { resource, byNamespace: EMPTY, version: resource?.version ?? '' };
}

/** The view of a resource that some namespaces see otherwise. */
export function viewOf(resource: Resource, byNamespace: ReadonlyMap<string, Resource>): ResourceView {
  if (byNamespace.size === 0) return sameForAll(resource);
  const hash = createHash('sha256').update(resource.version);
  for (const [namespace, theirs] of [...byNamespace].sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(` ${namespace} ${theirs.version}`);
  return { resource, byNamespace, version: hash.digest('hex').slice(0, 16) };
}
