import { Field } from '../../http/field.ts';
import { hashOfField, hashOfName } from './field-hash.ts';

const SLOTS = 1024;
const MAX_CHARACTERS = 256;

const slots: (Field | undefined)[] = new Array(SLOTS).fill(undefined);

/**
 * The field of this name and value, most often the same object for all connections that keep it in their
 * tables: an encoder that serves many of them then finds it by its identity, and its text is in memory once.
 * A slot belongs to the last field that was hashed to it, so what is kept is bounded.
 */
export function knownField(name: string, value: string): Field {
  if (name.length + value.length > MAX_CHARACTERS) return new Field(name, value);
  const slot = hashOfField(hashOfName(name), value) & (SLOTS - 1);
  const known = slots[slot];
  if (known !== undefined && known.name === name && known.value === value) return known;
  const field = new Field(name, value);
  slots[slot] = field;
  return field;
}
