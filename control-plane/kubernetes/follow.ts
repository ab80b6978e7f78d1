import { type KubernetesListObject, type KubernetesObject, ListWatch, Watch } from '@kubernetes/client-node';
import type { Log } from '../log.ts';
import { type ApiServer, reasonOf } from './api-server.ts';

const FIRST_BACKOFF_MS = 200;
const LAST_BACKOFF_MS = 10_000;

export interface Followed<T extends KubernetesObject> {
  /** Whether the first list is there. */
  listed(): boolean;
  get(name: string, namespace?: string): T | undefined;
  list(): readonly T[];
  close(): void;
}

interface Following<T extends KubernetesObject> {
  readonly api: ApiServer;
  /** Of the list, like `/api/v1/namespaces`. */
  readonly path: string;
  readonly list: () => Promise<KubernetesListObject<T>>;
  /** As `list` has them. */
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string;
  readonly log: Log;
  readonly onChange: (object: T) => void;
  /** A whole list was taken, the first one or one after a time without. */
  readonly onListed: () => void;
}

/** Follows objects by list and watch; what the library gives up after is begun anew, later each time. */
export function follow<T extends KubernetesObject>(following: Following<T>): Followed<T> {
  const { api, path, list, labelSelector, fieldSelector, log, onChange, onListed } = following;
  let listed = false;
  let failures = 0;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  const informer = new ListWatch<T>(
    path,
    new Watch(api.kubeConfig),
    async () => {
      const found = await list();
      failures = 0;
      // Once the library has taken what it is given here.
      setImmediate(() => {
        listed = true;
        if (!closed) onListed();
      });
      return found;
    },
    false,
    labelSelector,
    fieldSelector,
  );
  const start = (): void => {
    informer.start().catch(again);
  };
  const again = (error: unknown): void => {
    if (closed) return;
    log.debug({ path, error: reasonOf(error) }, 'a watch is begun anew');
    const waitMs = Math.min(LAST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** failures++);
    clearTimeout(timer);
    timer = setTimeout(start, waitMs * (0.5 + Math.random() / 2));
  };
  informer.on('change', (object) => {
    if (!closed) onChange(object);
  });
  informer.on('error', again);
  start();
  return {
    listed: () => listed,
    get: (name, namespace) => informer.get(name, namespace),
    list: () => informer.list(),
    close() {
      closed = true;
      clearTimeout(timer);
      void informer.stop();
    },
  };
}
