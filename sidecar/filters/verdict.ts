import type { LocalAnswer } from '../exchange.ts';
import type { PolicyNote } from '../telemetry/explanation.ts';

/** Who calls, as far as it is known of requests and of opaque connections alike. */
export interface Caller {
  /** `namespace/serviceaccount` that it proved, or ''. */
  readonly peer: string;
  /** IP and port. */
  readonly peerAddress: string;
  readonly mtls: boolean;
}

/** What a policy decided about a caller: a note of it, and the answer if it refused. */
export interface Verdict {
  readonly note: PolicyNote;
  readonly answer?: LocalAnswer;
}
