/** A port, or several in a row; both ends belong to it. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Reads a port from 1 to 65535. Throws an Error that names the field, the value and what was meant. */
export function parsePort(field: string, text: string): number {
  const port = portOf(text);
  if (port === undefined) throw new Error(`${field} "${text}" is not a port; write one from 1 to 65535`);
  return port;
}

/**
 * Reads a list like `25,3306,9000-9010`; an empty text is an empty list.
 * Throws an Error that names the field, the value and what was meant.
 */
export function parsePortRanges(field: string, text: string): PortRange[] {
  return entries(text).map((entry) => {
    const [from = '', to = from, ...rest] = entry.split('-');
    const [first, last] = [portOf(from), portOf(to)];
    if (first === undefined || last === undefined || rest.length > 0) {
      throw new Error(
        `${field} "${text}": "${entry}" is no port; write ports from 1 to 65535 and ranges, like 25,3306,9000-9010`,
      );
    }
    if (first > last) {
      throw new Error(`${field} "${text}": "${entry}" ends before it begins; write ${last}-${first}`);
    }
    return { first, last };
  });
}

/** What stands between commas, without the spaces around it. */
export function entries(text: string): string[] {
  return text.trim() === '' ? [] : text.split(',').map((entry) => entry.trim());
}

function portOf(text: string): number | undefined {
  const port = Number(text);
  return /^[1-9]\d{0,4}$/.test(text) && port <= 65535 ? port : undefined;
}
