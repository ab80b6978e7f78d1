import { createHash } from 'node:crypto';
import { MAX_SUBJECT } from '../../protocol/quotas/messages.ts';
import type { Exchange } from '../exchange.ts';
import type { Caller } from './verdict.ts';

/** Says what a request is counted as. */
export type SubjectOf = (exchange: Exchange) => string;

/** Parts of a subject are told apart by what no header line and no path can hold. */
const BETWEEN = '\n';
/** Headers that hold secrets: the store is given a hash. */
const SECRET = new Set(['authorization', 'cookie', 'proxy-authorization', 'x-api-key']);
const API_KEY = 'x-api-key';
/** A token that is longer is no token. */
const MAX_TOKEN = 16 * 1024;

/**
 * Compiles what callers are told apart by. What a request does not have counts as one subject for all who do not
 * have it.
 */
export function subjectOf(by: readonly string[]): SubjectOf {
  const parts = by.map(partOf);
  const [only] = parts;
  if (only === undefined) return () => '';
  if (parts.length === 1) return (exchange) => bounded(only(exchange));
  return (exchange) => bounded(parts.map((part) => part(exchange)).join(BETWEEN));
}

function partOf(key: string): SubjectOf {
  if (key === 'client') return clientOf;
  if (key === 'ip') return ({ peerAddress }) => networkOf(peerAddress);
  if (key === 'path') return ({ path }) => path;
  if (key === 'api-key') return hashed((exchange) => exchange.header(API_KEY) ?? '');
  const [kind, name = ''] = key.split(/:(.*)/);
  if (kind === 'claim') return claim(name);
  const header: SubjectOf = (exchange) => exchange.header(name) ?? '';
  return SECRET.has(name) ? hashed(header) : header;
}

/** The identity that a caller proved; strangers by their address, so that one does not use up what is for all others. */
function clientOf({ peer, peerAddress }: Caller): string {
  return peer === '' ? networkOf(peerAddress) : peer;
}

let lastAddress = '';
let lastNetwork = '';

/** IP of IP and port; of IPv6 its network of 64 bits, in which one host has all addresses it likes. The last answer is kept. */
export function networkOf(peerAddress: string): string {
  if (peerAddress === lastAddress) return lastNetwork;
  const ip = peerAddress.slice(0, peerAddress.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  const plain = ip.startsWith('::ffff:') && ip.includes('.') ? ip.slice('::ffff:'.length) : ip;
  lastAddress = peerAddress;
  lastNetwork = plain.includes(':') ? `${groupsOf(plain).slice(0, 4).join(':')}::/64` : plain;
  return lastNetwork;
}

/** The eight groups of an IPv6 address, without leading zeros. */
function groupsOf(ip: string): string[] {
  const [address = ''] = ip.split('%', 1);
  const [head = '', tail] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  if (tail === undefined) return before;
  const after = tail === '' ? [] : tail.split(':');
  return [...before, ...new Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0'), ...after];
}

/** A claim of the bearer token as it stands there: nobody has verified it. */
function claim(name: string): SubjectOf {
  const path = name.split('.');
  let lastToken = '';
  let lastValue = '';
  return (exchange) => {
    const token = exchange.header('authorization') ?? '';
    if (token !== lastToken) {
      lastToken = token;
      lastValue = claimOf(token, path);
    }
    return lastValue;
  };
}

function claimOf(authorization: string, path: readonly string[]): string {
  if (authorization.length > MAX_TOKEN) return '';
  const [, payload] = /^Bearer +[\w-]+\.([\w-]+)\.[\w-]*$/i.exec(authorization) ?? [];
  if (payload === undefined) return '';
  try {
    let value: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    for (const name of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return '';
      value = (value as Record<string, unknown>)[name];
    }
    return typeof value === 'string' || typeof value === 'number'
      ? String(value).replaceAll(BETWEEN, ' ')
      : '';
  } catch {
    return '';
  }
}

/** Secrets do not leave this process. Hashes of the last ones are kept: callers come again. */
function hashed(secretOf: SubjectOf): SubjectOf {
  let known = new Map<string, string>();
  return (exchange) => {
    const secret = secretOf(exchange);
    if (secret === '') return '';
    const before = known.get(secret);
    if (before !== undefined) return before;
    if (known.size >= MAX_HASHES) known = new Map();
    const hash = hashOf(secret);
    known.set(` ${secret}`.slice(1), hash);
    return hash;
  };
}

const MAX_HASHES = 1024;

function bounded(subject: string): string {
  return subject.length <= MAX_SUBJECT ? subject : hashOf(subject);
}

function hashOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('base64url')}`;
}
