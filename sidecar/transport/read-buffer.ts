/** Large enough that a busy body needs few reads, small enough to stay in the cache. */
export const READ_BYTES = 64 * 1024;

/**
 * Every idle or head-reading connection reads into this one buffer: its bytes are used up before the
 * read callback returns, so ten thousand connections need one buffer, not ten thousand.
 */
export const SHARED_READ_BUFFER: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);
