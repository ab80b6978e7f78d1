import type { Reason } from '../../protocol/reasons.ts';
import type { MessageProblem } from '../http/message-problem.ts';

function problem(status: number, code: Reason, detail: string): MessageProblem {
  return { status, code, detail };
}

/** A message that HTTP/2 calls malformed: its stream is reset (RFC 9113 section 8.1.1). */
export const MALFORMED_MESSAGES = {
  field: problem(400, 'bad-header', 'a field has a name or value that HTTP/2 forbids (RFC 9113 section 8.2)'),
  pseudo: problem(
    400,
    'bad-header',
    'a pseudo-header field is doubled, unknown, late or out of place (RFC 9113 section 8.3)',
  ),
  missing: problem(
    400,
    'bad-request-line',
    ':method, :scheme or :path is missing, or has a form that is not allowed (RFC 9113 section 8.3.1)',
  ),
  connect: problem(
    400,
    'bad-request-line',
    'CONNECT without :authority, or with fields that it must not have (RFC 9113 section 8.5, RFC 8441 section 4)',
  ),
  host: problem(400, 'bad-host', ':authority and Host differ (RFC 9113 section 8.3.1)'),
  status: problem(400, 'bad-header', ':status is missing or misplaced (RFC 9113 section 8.3.2)'),
  length: problem(
    400,
    'bad-framing',
    'content-length is doubled, or not the length of the data (RFC 9113 section 8.1.1)',
  ),
  trailers: problem(
    400,
    'bad-framing',
    'the trailer section does not end the message, or has a field that frames it (RFC 9113 section 8.1)',
  ),
  interim: problem(
    400,
    'bad-framing',
    'an interim response ends its stream, is a 101, or data stands before the final one (RFC 9113 section 8.1)',
  ),
  interimMany: problem(400, 'bad-framing', 'there are more interim responses than this proxy takes'),
} satisfies Record<string, MessageProblem>;

/** RFC 8441 section 3. */
export const UPGRADE_REFUSED: MessageProblem = problem(
  502,
  'upgrade-refused',
  'the upstream speaks HTTP/2 and does not allow extended CONNECT (SETTINGS_ENABLE_CONNECT_PROTOCOL, RFC 8441)',
);

/** Well-formed requests that are answered here, and the same in responses. */
export const REFUSALS = {
  headLong: problem(431, 'head-too-large', 'the head is larger than this proxy takes'),
  headersMany: problem(431, 'too-many-headers', 'there are more header lines than this proxy takes'),
  targetLong: problem(414, 'uri-too-long', 'the request target is longer than this proxy takes'),
  httpAgain: problem(501, 'method-unsupported', 'HTTP is not served in a tunnel (:protocol, RFC 8441)'),
  connect: problem(501, 'method-unsupported', 'CONNECT is not served here (RFC 9110 section 9.3.6)'),
} satisfies Record<string, MessageProblem>;
