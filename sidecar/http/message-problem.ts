import type { Reason } from '../../protocol/reasons.ts';

/** Why a message was refused. `code` is a `tulle-reason` code of docs/reasons.md. */
export interface MessageProblem {
  readonly status: number;
  readonly code: Reason;
  readonly detail: string;
}

/** The same fault seen in a response: the upstream's, hence a 502. */
export function asUpstreamProblem(problem: MessageProblem): MessageProblem {
  return { status: 502, code: 'upstream-framing', detail: `the upstream's response: ${problem.detail}` };
}
