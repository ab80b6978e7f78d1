/** `10%` or `0.01%` as a share from 0 to 1; undefined where it is none. */
export function parsePercentage(text: string): number | undefined {
  const percent = Number(/^(\d{1,3}(?:\.\d{1,4})?)%$/.exec(text)?.[1]);
  return percent <= 100 ? percent / 100 : undefined;
}
