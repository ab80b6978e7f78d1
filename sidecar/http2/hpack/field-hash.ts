const PRIME = 0x01000193;
/** The ends of long values tell them apart; the rest is not worth the time. */
const MAX_CHARACTERS = 32;

function mixed(hash: number, text: string): number {
  let mixed = Math.imul(hash ^ text.length, PRIME);
  for (let i = Math.max(0, text.length - MAX_CHARACTERS); i < text.length; i++) {
    mixed = Math.imul(mixed ^ text.charCodeAt(i), PRIME);
  }
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

/** 32 bits. Equal hashes do not mean equal texts: who finds something by a hash compares it. */
export function hashOfName(name: string): number {
  return mixed(0x811c9dc5, name);
}

/** `nameHash`: the hash of the field's name. */
export function hashOfField(nameHash: number, value: string): number {
  return mixed(nameHash, value);
}
