/** One byte for each name that could not be resolved, beside the file that says whether names are resolved. */
export function lostLookupsFile(namesFile: string): string {
  return `${namesFile}.lost`;
}
