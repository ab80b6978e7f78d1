import { type RawMetadata, referenceOf } from './keep-core.ts';
import type { KeptDocument } from './kept-objects.ts';

interface RawDocument {
  readonly apiVersion?: string;
  readonly metadata?: RawMetadata;
  readonly status?: unknown;
}

/**
 * Keeps a document of the Gateway API or of Tulle. Its status is ours and others' to write: it says nothing of
 * what is wanted, and a status written because of a document must not look like another document.
 */
export function keepDocument(apiVersion: string, kind: string, raw: RawDocument): KeptDocument {
  const { metadata, status: _status, ...rest } = raw;
  const { name = '', namespace = '', creationTimestamp = '', generation = 0 } = metadata ?? {};
  const version = raw.apiVersion ?? apiVersion;
  return {
    reference: referenceOf(version, kind, metadata),
    namespace,
    name,
    created: creationTimestamp,
    generation,
    deleting: metadata?.deletionTimestamp !== undefined,
    document: {
      ...rest,
      apiVersion: version,
      kind,
      // Of equal claims the older document wins.
      metadata: {
        name,
        ...(namespace !== '' && { namespace }),
        ...(creationTimestamp !== '' && { creationTimestamp }),
      },
    },
  };
}
