/** `GET,POST`: methods as HTTP writes them, or undefined. */
export function parseMethods(text: string): readonly string[] | undefined {
  const methods = text.split(',').map((word) => word.trim());
  return methods.every((method) => /^[A-Z]{1,20}$/.test(method)) ? methods : undefined;
}
