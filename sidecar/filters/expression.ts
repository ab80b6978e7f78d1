import { isLinear, wholeExpression } from '../../protocol/linear-expression.ts';

/** Longer values are not given to a user's regular expression: its cost can grow with the length. */
const MAX_INPUT = 4096;

/** Matches no text. */
const NOTHING = /(?!)/;

/** An expression that a route matches by. One that does not compile, or could take forever, matches nothing. */
export function routeExpression(source: string): RegExp {
  return (isLinear(source) ? wholeExpression(source) : undefined) ?? NOTHING;
}

export function matchesExpression(expression: RegExp | undefined, value: string): boolean {
  return value.length <= MAX_INPUT && expression?.test(value) === true;
}
