// How a field is represented (RFC 7541 section 6): the pattern in the upper bits of its first byte, and the
// mask of the prefix below it, where an integer begins.
export const INDEXED = 0x80;
export const INDEXED_MASK = 0x7f;
export const WITH_INDEXING = 0x40;
export const WITH_INDEXING_MASK = 0x3f;
export const SIZE_UPDATE = 0x20;
export const SIZE_UPDATE_MASK = 0x1f;
export const NEVER_INDEXED = 0x10;
export const WITHOUT_INDEXING = 0x00;
/** Of both literals that are not kept. */
export const NOT_KEPT_MASK = 0x0f;

/** How a text is represented (section 5.2): this bit, and the mask of its length. */
export const HUFFMAN = 0x80;
export const LENGTH_MASK = 0x7f;
