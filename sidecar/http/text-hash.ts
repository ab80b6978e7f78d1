/** Where there is no text: no hash is below 0. */
export const NO_HASH = -1;

/** Callers choose what they send: no more characters than this tell one from another. */
const MAX_KEY = 256;

/** A number of 32 bits for a text up to `length`: FNV-1a, and the last steps of MurmurHash3 so that all bits depend on all. */
export function textHash(text: string, length = text.length): number {
  const end = Math.min(length, MAX_KEY);
  let hash = 0x811c9dc5;
  for (let i = 0; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mixed(hash);
}

/** Spreads a number of 32 bits over all of them. */
export function mixed(number: number): number {
  let hash = Math.imul(number ^ (number >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
