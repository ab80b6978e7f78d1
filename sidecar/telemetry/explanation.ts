/** One try of a request at an endpoint. Times in ms from the request's start. */
export interface Attempt {
  readonly endpoint: string;
  readonly startMs: number;
  durationMs: number;
  /** A status, or a `tulle-reason` code. */
  result: string;
  connectionReused: boolean;
}

/** What a policy decided about a request, with the numbers it used. */
export interface PolicyNote {
  readonly policy: string;
  readonly decision: string;
  readonly detail: string;
}

/** All that is told of one request afterwards. */
export interface Explanation {
  id: string;
  /** Wall clock, ms since 1970. */
  at: number;
  listener: string;
  peer: string;
  peerAddress: string;
  method: string;
  host: string;
  path: string;
  route: string;
  routeWhy: string;
  service: string;
  attempts: readonly Attempt[];
  policies: readonly PolicyNote[];
  status: number;
  reason: string;
  detail: string;
  durationMs: number;
  requestBytes: number;
  responseBytes: number;
  mtls: boolean;
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`;
}

/** The explanation in words. */
export function describe(explanation: Explanation): string {
  const { id, listener, method, host, path, status, reason, detail, durationMs } = explanation;
  const who = explanation.peer || explanation.peerAddress || 'an unknown caller';
  const how = explanation.mtls ? 'by mTLS' : 'in plain text';
  const lines = [
    `Request ${id} (${listener}): ${method} ${host}${path} -> ${status || 'no response'} in ${ms(durationMs)}`,
    listener === 'outbound' ? `  sent ${how}` : `  from ${who} ${how}`,
  ];
  if (explanation.routeWhy !== '') lines.push(`  route: ${explanation.routeWhy}`);
  if (explanation.service !== '') lines.push(`  service: ${explanation.service}`);
  for (const { policy, decision, detail: words } of explanation.policies) lines.push(`  policy ${policy} ${decision}: ${words}`);
  for (const [index, attempt] of explanation.attempts.entries()) {
    const connection = attempt.connectionReused ? 'kept connection' : 'new connection';
    lines.push(`  attempt ${index + 1}: ${attempt.endpoint} at +${ms(attempt.startMs)} -> ${attempt.result} after ${ms(attempt.durationMs)} (${connection})`);
  }
  if (reason !== '') lines.push(`  reason ${reason}: ${detail}`, `  more: docs/reasons.md#${reason}`);
  return `${lines.join('\n')}\n`;
}
