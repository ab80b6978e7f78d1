import { SEMICOLON, TOKEN, VALUE } from './characters.ts';

/** States of `;name`, `;name=token` and `;name="quoted"` (RFC 9112 section 7.1.1), without optional white space. */
export const NAME_START = 0;
const NAME = 1;
const VALUE_START = 2;
const TOKEN_VALUE = 3;
const QUOTED = 4;
const QUOTED_PAIR = 5;
const AFTER_QUOTED = 6;
export const EXTENSION_WRONG = 7;

const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Whether the line may end after what was read of an extension. */
export function extensionMayEnd(state: number): boolean {
  return state === NAME || state === TOKEN_VALUE || state === AFTER_QUOTED;
}

/** The state after one more byte of a chunk extension. */
export function extensionStep(state: number, byte: number): number {
  switch (state) {
    case NAME_START:
      return TOKEN[byte] === 1 ? NAME : EXTENSION_WRONG;
    case NAME:
      if (byte === EQUALS) return VALUE_START;
      return tokenOrNext(NAME, byte);
    case VALUE_START:
      return byte === QUOTE ? QUOTED : TOKEN[byte] === 1 ? TOKEN_VALUE : EXTENSION_WRONG;
    case TOKEN_VALUE:
      return tokenOrNext(TOKEN_VALUE, byte);
    case QUOTED:
      return byte === QUOTE
        ? AFTER_QUOTED
        : byte === BACKSLASH
          ? QUOTED_PAIR
          : VALUE[byte] === 1
            ? QUOTED
            : EXTENSION_WRONG;
    case QUOTED_PAIR:
      return VALUE[byte] === 1 ? QUOTED : EXTENSION_WRONG;
    default:
      return byte === SEMICOLON ? NAME_START : EXTENSION_WRONG;
  }
}

function tokenOrNext(state: number, byte: number): number {
  if (TOKEN[byte] === 1) return state;
  return byte === SEMICOLON ? NAME_START : EXTENSION_WRONG;
}
