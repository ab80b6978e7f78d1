import type { RouteMatch } from '../../protocol/route.ts';

/**
 * Replaces the prefix that a rule matched in a path. A rule may match several prefixes: the longest that the path has
 * is the one that matched.
 */
export function prefixReplacer(
  matches: readonly RouteMatch[],
  replacement: string,
): (path: string) => string {
  const prefixes = matches
    .flatMap(({ path }) => (path?.type === 'PathPrefix' ? [path.value] : []))
    .sort((a, b) => b.length - a.length);
  return (path) => replacePrefix(path, prefixes.find((one) => hasPrefix(path, one)) ?? '/', replacement);
}

/** Whether `path` is `prefix` or below it. */
function hasPrefix(path: string, prefix: string): boolean {
  const whole = prefix.replace(/\/$/, '');
  return path.startsWith(whole) && (path.length === whole.length || path[whole.length] === '/');
}

/** Replaces whole segments: /v1 by /v2 makes /v2/a of /v1/a, and / of /v1 by /. */
export function replacePrefix(path: string, prefix: string, replacement: string): string {
  const from = prefix.replace(/\/$/, '');
  const to = replacement.replace(/\/$/, '');
  const rest = path.slice(from.length);
  if (rest === '') return to === '' ? '/' : to;
  return to + (rest.startsWith('/') ? rest : `/${rest}`);
}
