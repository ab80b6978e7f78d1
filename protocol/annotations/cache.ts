import { parseDuration } from '../duration.ts';
import type { Parsed } from './parsed.ts';

/** `respect`, `60s`, `60s stale 300s`, `off`. */
export function parseCache(text: string): Parsed {
  const value = text.trim();
  if (value === 'off') return { unset: 'cache' };
  if (value === 'respect') return { cache: { mode: 'respect' } };
  const [, ttl = '', stale] = /^(\S+)(?:\s+stale\s+(\S+))?$/.exec(value) ?? [];
  const ttlMs = parseDuration(ttl);
  const staleMs = stale === undefined ? undefined : parseDuration(stale);
  if (ttlMs === undefined || (stale !== undefined && staleMs === undefined)) {
    return {
      wrong: 'is not a cache policy',
      meant: 'write respect, off, or how long, like "60s" or "60s stale 300s"',
    };
  }
  return { cache: { mode: 'fixed', ttlMs, ...(staleMs !== undefined && { staleMs }) } };
}
