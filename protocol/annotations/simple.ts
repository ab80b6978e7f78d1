import { showValue } from '../problem.ts';
import { matchesPattern } from './client-pattern.ts';
import type { Parsed } from './parsed.ts';

const ENCODINGS = ['gzip', 'br', 'zstd'];

/** `on` or `off`. */
export function parseCoalesce(text: string): Parsed {
  const value = text.trim();
  if (value !== 'on' && value !== 'off')
    return { wrong: 'is not a switch', meant: 'write "on" or "off", in quotes' };
  return { coalesce: value === 'on' };
}

/** `gzip,br,zstd`, or `off`. */
export function parseCompress(text: string): Parsed {
  if (text.trim() === 'off') return { compress: [] };
  const compress = text.split(',').map((part) => part.trim());
  const odd = compress.find((part) => !ENCODINGS.includes(part));
  if (odd !== undefined)
    return {
      wrong: `has ${showValue(odd)}, which is no content coding here`,
      meant: `write some of ${ENCODINGS.join(',')}, or off`,
    };
  return { compress };
}

/** `strict` or `permissive`. */
export function parseMtls(text: string): Parsed {
  const value = text.trim();
  if (value !== 'strict' && value !== 'permissive')
    return { wrong: 'is not an mTLS mode', meant: 'write strict or permissive' };
  return { mtls: value };
}

/** `web, payments/checkout`. */
export function parseAllow(text: string): Parsed {
  const allow = text.split(',').map((part) => part.trim());
  const odd = allow.find((part) => !matchesPattern(part));
  if (odd !== undefined) {
    return {
      wrong: `has ${showValue(odd)}, which names no caller`,
      meant: 'write service accounts, like "web, payments/checkout" or "payments/*"',
    };
  }
  return { allow };
}

/** `3306,6379`. */
export function parseOpaquePorts(text: string): Parsed {
  const opaquePorts = text.split(',').map((part) => Number(/^\s*(\d{1,5})\s*$/.exec(part)?.[1]));
  if (!opaquePorts.every((port) => port >= 1 && port <= 65535)) {
    return { wrong: 'is not a list of ports', meant: 'write port numbers from 1 to 65535, like "3306,6379"' };
  }
  return { opaquePorts };
}
