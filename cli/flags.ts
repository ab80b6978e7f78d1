import { DURATION_MEANT, parseDuration } from '../protocol/duration.ts';
import { parseCpu, parseMemory } from '../protocol/quantity.ts';
import { isWorkload } from '../protocol/spiffe.ts';

/** HOST:PORT, port 0 allowed. Throws an Error that names the flag. */
export function addressOption(flag: string, text: string): string {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(text);
  if (match === null || Number(match[2]) > 65535) {
    throw new Error(
      `${flag} "${text}" is not an address; write HOST:PORT, like 127.0.0.1:4140 (port 0: the kernel chooses)`,
    );
  }
  return text;
}

/** HOST:PORT of somebody else, so never port 0. Throws an Error that names the flag. */
export function peerAddressOption(flag: string, text: string): string {
  if (splitAddressOption(addressOption(flag, text)).port === 0) {
    throw new Error(`${flag} "${text}" has port 0; write the port where it listens, from 1 to 65535`);
  }
  return text;
}

/** A name as Kubernetes has them. Throws an Error that names the flag. */
export function nameOption(flag: string, text: string): string {
  if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(text)) {
    throw new Error(`${flag} "${text}" is not a name; write lower-case letters, digits and -, like shop`);
  }
  return text;
}

/** NAMESPACE/NAME. Throws an Error that names the flag. */
export function keyOption(flag: string, text: string): string {
  if (!isWorkload(text)) throw new Error(`${flag} "${text}" is not NAMESPACE/NAME, like shop/edge`);
  return text;
}

/** A duration in ms. Throws an Error that names the flag. */
export function durationOption(flag: string, text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new Error(`${flag} "${text}" is not a duration; ${DURATION_MEANT}`);
  return ms;
}

/** A duration in ms, or 0 for none. Throws an Error that names the flag. */
export function durationOrNoneOption(flag: string, text: string): number {
  return text === '0' ? 0 : durationOption(flag, text);
}

/** A whole number from `least` to `most`. Throws an Error that names the flag. */
export function countOption(flag: string, text: string, least: number, most: number): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < least || count > most) {
    throw new Error(`${flag} "${text}" is not a count; write a whole number from ${least} to ${most}`);
  }
  return count;
}

/** The least urgent first. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** Throws an Error unless it is an amount of CPU as Kubernetes writes it. */
export function cpuOption(flag: string, text: string): string {
  if (parseCpu(text) === undefined)
    throw new Error(`${flag} "${text}" is not an amount of CPU; write it like 100m or 0.5`);
  return text;
}

/** Throws an Error unless it is an amount of memory as Kubernetes writes it. */
export function memoryOption(flag: string, text: string): string {
  if (parseMemory(text) === undefined)
    throw new Error(`${flag} "${text}" is not an amount of memory; write it like 128Mi`);
  return text;
}

/** One of `words`. Throws an Error that names the flag, says what is `wrong`, and what can be written. */
export function wordOption<T extends string>(
  flag: string,
  text: string,
  words: readonly T[],
  wrong = 'is none of its values',
): T {
  const word = words.find((one) => one === text);
  if (word === undefined) throw new Error(`${flag} "${text}" ${wrong}; write ${words.join(', ')}`);
  return word;
}

/** A level of the log. Throws an Error that says which there are. */
export function logLevelOption(text: string): LogLevel {
  return wordOption('--log-level', text, LOG_LEVELS, 'is not a level');
}

/** HOST:PORT to listen at; without the flag `port` on all addresses, of both families. Throws an Error that names the flag. */
export function listenOption(
  flag: string,
  text: string | undefined,
  port: number,
): { host?: string; port: number } {
  return text === undefined ? { port } : splitAddressOption(addressOption(flag, text));
}

/** Host and port of an address that addressOption took. */
export function splitAddressOption(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return {
    host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'),
    port: Number(address.slice(colon + 1)),
  };
}
