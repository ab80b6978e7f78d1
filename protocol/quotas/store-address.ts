/** Where Redis is, without a password: that comes from a file or the environment. */
export interface RedisAddress {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  /** Of the server, of the Sentinels, or of some of the cluster's nodes. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly tls: boolean;
  /** Of ACL. */
  readonly user?: string;
  /** What the Sentinels call the master. */
  readonly master?: string;
  readonly db: number;
}

/** Where quotas are counted. */
export type StoreAddress = { readonly kind: 'memory' } | RedisAddress;

const ADDRESS = /^redis(s?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^@/?#]+)(?:\/([\w./-]*))?$/;
const HOST = /^(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/;
const PORTS = { single: 6379, sentinel: 26_379, cluster: 6379 } as const;

export const STORE_MEANT =
  'write memory, redis://HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/MASTER or redis+cluster://HOST:PORT,HOST:PORT; rediss for TLS, USER@ before the host for ACL';

/** Reads a store's address; a text says what is wrong with it, and never contains it: it may have a password in it. */
export function parseStoreAddress(text: string): StoreAddress | string {
  if (text === 'memory') return { kind: 'memory' };
  const match = ADDRESS.exec(text);
  if (match === null) return 'is no store of quotas';
  const [, tls = '', mode, user, hosts = '', path = ''] = match;
  if (user?.includes(':') === true)
    return 'has a password in it: give it by a file or TULLE_REDIS_PASSWORD, so that nobody reads it here';
  if (user !== undefined && !/^[\w.+-]+$/.test(user)) return 'has a user that is none';
  const kind = mode === 'sentinel' || mode === 'cluster' ? mode : 'single';
  const nodes = hosts.split(',').map((node) => readNode(node, PORTS[kind]));
  const known = nodes.filter((node) => node !== undefined);
  if (known.length < nodes.length) return 'has a host that is none';
  if (kind === 'single' && nodes.length > 1)
    return 'has several hosts: those are for redis+sentinel or redis+cluster';
  const [first = '', second, ...rest] = path.split('/');
  const master = kind === 'sentinel' ? first : undefined;
  const db = kind === 'sentinel' ? (second ?? '') : first;
  if (master === '') return 'does not name the master';
  if (rest.length > 0 || (kind !== 'sentinel' && second !== undefined) || !/^\d{0,3}$/.test(db))
    return 'has a path that is no number of a database';
  if (kind === 'cluster' && db !== '') return 'has a database: a cluster has one only';
  return {
    kind,
    nodes: known,
    tls: tls !== '',
    ...(user !== undefined && { user }),
    ...(master !== undefined && { master }),
    db: Number(db),
  };
}

function readNode(text: string, standard: number): { host: string; port: number } | undefined {
  const [, host = '', port] = HOST.exec(text) ?? [];
  const number = port === undefined ? standard : Number(port);
  if (host === '' || number < 1 || number > 65_535) return undefined;
  return { host: host.replace(/^\[|\]$/g, ''), port: number };
}
