/** A flag's number, not below zero. Throws an Error that names the flag. */
export function numberOption(flag: string, text: string): number {
  const value = Number(text);
  if (text === '' || !Number.isFinite(value) || value < 0)
    throw new Error(`${flag} "${text}" is not a number`);
  return value;
}
