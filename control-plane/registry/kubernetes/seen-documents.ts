import type { KeptDocument } from './kept-objects.ts';

/** A document as the API server has it, for those who write its status. */
export interface SeenDocument {
  readonly kept: KeptDocument;
  readonly resourceVersion: string;
  readonly status: unknown;
}

interface RawVersioned {
  readonly metadata?: { readonly resourceVersion?: string };
  readonly status?: unknown;
}

/** All documents of the Gateway API and of Tulle, also those that cannot be read. */
export class SeenDocuments {
  private readonly byId = new Map<string, SeenDocument>();

  put(kind: string, key: string, kept: KeptDocument, raw: RawVersioned): void {
    const { metadata, status } = raw;
    this.byId.set(`${kind} ${key}`, { kept, resourceVersion: metadata?.resourceVersion ?? '', status });
  }

  remove(kind: string, key: string): void {
    this.byId.delete(`${kind} ${key}`);
  }

  get(kind: string, key: string): SeenDocument | undefined {
    return this.byId.get(`${kind} ${key}`);
  }

  all(): Iterable<[id: string, document: SeenDocument]> {
    return this.byId;
  }
}
