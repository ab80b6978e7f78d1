/** One step of a JSON Patch (RFC 6902): those that injecting needs. */
export type Operation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

export type Path = readonly (string | number)[];

/** A JSON Pointer (RFC 6901 section 3): `~` and `/` of a key are escaped. */
export function pointer(path: Path): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** The keys of a JSON Pointer. */
export function keysOf(text: string): string[] {
  return text
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

export function add(path: Path, value: unknown): Operation {
  return { op: 'add', path: pointer(path), value };
}

export function replace(path: Path, value: unknown): Operation {
  return { op: 'replace', path: pointer(path), value };
}

export function remove(path: Path): Operation {
  return { op: 'remove', path: pointer(path) };
}
