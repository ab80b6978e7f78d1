import dns, { type LookupAddress, type LookupOptions } from 'node:dns';
import { appendFileSync, readFileSync } from 'node:fs';
import { lostLookupsFile } from './lost-lookups.ts';

/**
 * Loaded before a sidecar: names under `.chaos.test` are resolved from a file, as long as that says that there are
 * names at all. So resolution can be lost without root, in real processes.
 */
interface NamesFile {
  readonly lost: boolean;
}

type Answer = (error: Error | null, address?: string | LookupAddress[], family?: number) => void;

const OWN = /\.chaos\.test$/;
/** A resolver that does not answer is not noticed at once. */
const LOST_MS = 200;
const file = process.env.TULLE_CHAOS_NAMES ?? '';
const resolve = dns.lookup;

function lookup(host: string, options: LookupOptions, answer: Answer): void {
  if (!OWN.test(host)) {
    (resolve as (host: string, options: LookupOptions, answer: Answer) => void)(host, options, answer);
    return;
  }
  const { lost } = JSON.parse(readFileSync(file, 'utf8')) as NamesFile;
  if (lost) {
    appendFileSync(lostLookupsFile(file), '.');
    const error = Object.assign(new Error(`getaddrinfo EAI_AGAIN ${host}`), {
      code: 'EAI_AGAIN',
      syscall: 'getaddrinfo',
    });
    setTimeout(answer, LOST_MS, error);
  } else if (options.all === true) {
    setImmediate(answer, null, [{ address: '127.0.0.1', family: 4 }]);
  } else {
    setImmediate(answer, null, '127.0.0.1', 4);
  }
}

Object.assign(dns, { lookup });
