/** One try of a request at an endpoint. Times in ms from the request's start. */
export interface Attempt {
  readonly endpoint: string;
  readonly startMs: number;
  durationMs: number;
  /** A status, or a `tulle-reason` code. */
  result: string;
  connectionReused: boolean;
  /** It joined one that was under way. */
  hedge?: true;
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
  /** Of a gRPC call; its numbers are those of the gRPC specification. */
  grpcStatus?: number;
  reason: string;
  detail: string;
  durationMs: number;
  requestBytes: number;
  responseBytes: number;
  mtls: boolean;
  /** Other requests of the same id that this proxy carried, oldest first: those that a service made while it served one. */
  others?: readonly Explanation[];
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`;
}

/** The explanation in words, one line a fact; requests that share its id follow. */
export function describe(explanation: Explanation): string {
  return [explanation, ...(explanation.others ?? [])].map((one) => `${lines(one).join('\n')}\n`).join('\n');
}

function lines(explanation: Explanation): string[] {
  const { id, at, listener, method, host, path, status, reason, detail, durationMs } = explanation;
  const ended = status === 0 ? 'no response' : String(status);
  const grpc = explanation.grpcStatus === undefined ? '' : ` (gRPC status ${explanation.grpcStatus})`;
  const result = [
    `Request ${id} (${listener}): ${method} ${host}${path} -> ${ended}${grpc} in ${ms(durationMs)}`,
    `  at ${new Date(at).toISOString()}, ${way(explanation)}`,
  ];
  if (explanation.routeWhy !== '') result.push(`  route: ${explanation.routeWhy}`);
  if (explanation.service !== '') result.push(`  service: ${explanation.service}`);
  for (const { policy, decision, detail: words } of explanation.policies) {
    result.push(`  policy ${policy} ${decision}: ${words}`);
  }
  for (const [index, attempt] of explanation.attempts.entries()) result.push(attemptLine(attempt, index + 1));
  const { requestBytes, responseBytes } = explanation;
  if (requestBytes + responseBytes > 0) {
    result.push(`  bodies: ${requestBytes} bytes of request, ${responseBytes} bytes of response`);
  }
  if (reason !== '') result.push(`  reason ${reason}: ${detail}`, `  more: docs/reasons.md#${reason}`);
  return result;
}

function way({ listener, mtls, peer, peerAddress }: Explanation): string {
  const how = mtls ? 'by mTLS' : 'in plain text';
  return listener === 'outbound'
    ? `sent ${how}`
    : `from ${peer || peerAddress || 'an unknown caller'} ${how}`;
}

function attemptLine(attempt: Attempt, number: number): string {
  const { endpoint, startMs, durationMs, result, connectionReused, hedge } = attempt;
  const connection = connectionReused ? 'kept connection' : 'new connection';
  return `  attempt ${number}${hedge ? ' (hedge)' : ''}: ${endpoint} at +${ms(startMs)} -> ${result} after ${ms(durationMs)} (${connection})`;
}
