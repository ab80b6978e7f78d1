let isBounded = false;

/**
 * What users write is matched against what strangers send: (a+)+ must not stop a whole gateway. Where V8 tracks back too
 * often it goes over to its engine without backtracking, whose cost is that of RE2. Only who has expressions loads v8 for it.
 */
function boundBacktracking(): void {
  if (isBounded) return;
  isBounded = true;
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  setFlagsFromString('--enable-experimental-regexp-engine');
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
}

/** The expression that is the whole of a value, as in Envoy (RE2 full match); undefined if it is none. */
export function wholeExpression(source: string): RegExp | undefined {
  boundBacktracking();
  try {
    return new RegExp(`^(?:${source})$`);
  } catch {
    return undefined;
  }
}

/** Whether an expression can be matched in linear time: without lookaheads, backreferences and large counts. */
export function isLinear(source: string): boolean {
  boundBacktracking();
  try {
    return new RegExp(`^(?:${source})$`, 'l') instanceof RegExp;
  } catch {
    return false;
  }
}
