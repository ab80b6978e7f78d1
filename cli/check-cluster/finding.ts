/** What one check found. */
export interface Finding {
  /** What was looked at, in a few words. */
  readonly check: string;
  readonly result: 'ok' | 'warning' | 'error';
  /** What is so. */
  readonly message: string;
  /** What to do; only where something is wrong. */
  readonly remedy?: string;
}

export function ok(check: string, message: string): Finding {
  return { check, result: 'ok', message };
}

export function warning(check: string, message: string, remedy: string): Finding {
  return { check, result: 'warning', message, remedy };
}

export function error(check: string, message: string, remedy: string): Finding {
  return { check, result: 'error', message, remedy };
}

/** The first few of a long list, and how many more there are. */
export function some(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
