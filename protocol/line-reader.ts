/** Cuts a byte stream into lines. `onTooLong` is called once a line grows beyond `maxBytes`; then nothing more is read. */
export function lineReader(
  maxBytes: number,
  onLine: (line: string) => void,
  onTooLong: () => void,
): (bytes: Buffer) => void {
  let parts: Buffer[] = [];
  let length = 0;
  let failed = false;
  return (bytes) => {
    let start = 0;
    while (!failed && start < bytes.length) {
      const end = bytes.indexOf(0x0a, start);
      const part = bytes.subarray(start, end < 0 ? bytes.length : end);
      length += part.length;
      if (length > maxBytes) {
        failed = true;
        onTooLong();
        return;
      }
      parts.push(part);
      if (end < 0) return;
      const line = parts.length === 1 ? part.toString('utf8') : Buffer.concat(parts).toString('utf8');
      parts = [];
      length = 0;
      start = end + 1;
      onLine(line);
    }
  };
}
