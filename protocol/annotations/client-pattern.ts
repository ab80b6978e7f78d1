/** Whether a text is a pattern of `allow`: NAME, NAMESPACE/NAME or NAMESPACE/*. */
export function matchesPattern(text: string): boolean {
  return /^([a-z0-9-]{1,63}\/)?[a-z0-9][a-z0-9.-]{0,252}$/.test(text) || /^[a-z0-9-]{1,63}\/\*$/.test(text);
}
