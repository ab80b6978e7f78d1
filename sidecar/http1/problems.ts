import type { Reason } from '../../protocol/reasons.ts';
import type { MessageProblem } from '../http/message-problem.ts';

function problem(status: number, code: Reason, detail: string): MessageProblem {
  return { status, code, detail };
}

/** Every way in which the engine refuses a message, with the section that calls it wrong. */
export const PROBLEMS = {
  requestLine: problem(
    400,
    'bad-request-line',
    'the request line is not METHOD SP TARGET SP VERSION (RFC 9112 section 3)',
  ),
  target: problem(
    400,
    'bad-request-line',
    'the request target has a form or a character that is not allowed (RFC 9112 section 3.2)',
  ),
  targetLong: problem(414, 'uri-too-long', 'the request target is longer than this proxy takes'),
  version: problem(505, 'version-unsupported', 'only HTTP/1.1 and HTTP/1.0 are spoken here'),
  interimMany: problem(400, 'bad-framing', 'there are more interim responses than this proxy takes'),
  statusLine: problem(502, 'upstream-framing', 'the status line is malformed (RFC 9112 section 4)'),
  bareLf: problem(400, 'bad-header', 'a line ends in LF without CR (RFC 9112 section 2.2)'),
  bareCr: problem(400, 'bad-header', 'a CR stands without LF (RFC 9112 section 2.2)'),
  obsFold: problem(
    400,
    'bad-header',
    'a header line begins with white space (obs-fold, RFC 9112 section 5.2)',
  ),
  fieldName: problem(
    400,
    'bad-header',
    'a header name is empty or has a character that is not allowed (RFC 9112 section 5.1)',
  ),
  spaceBeforeColon: problem(
    400,
    'bad-header',
    'white space stands between a header name and its colon (RFC 9112 section 5.1)',
  ),
  fieldValue: problem(400, 'bad-header', 'a header value has a control character (RFC 9110 section 5.5)'),
  headLong: problem(431, 'head-too-large', 'the head is larger than this proxy takes'),
  headersMany: problem(431, 'too-many-headers', 'there are more header lines than this proxy takes'),
  contentLength: problem(
    400,
    'bad-framing',
    'Content-Length is not one plain decimal number (RFC 9112 section 6.3)',
  ),
  bothLengths: problem(
    400,
    'bad-framing',
    'Content-Length and Transfer-Encoding stand together (RFC 9112 section 6.1)',
  ),
  transferEncoding: problem(
    400,
    'bad-framing',
    'Transfer-Encoding does not end in one chunked (RFC 9112 section 6.1)',
  ),
  transferCoding: problem(
    501,
    'transfer-coding-unsupported',
    'a transfer coding other than chunked (RFC 9112 section 6.1)',
  ),
  chunkedOld: problem(400, 'bad-framing', 'Transfer-Encoding in an HTTP/1.0 message (RFC 9112 section 6.1)'),
  bodyOnNoBody: problem(
    400,
    'bad-framing',
    'a body is announced where the status allows none (RFC 9110 section 6.4.1)',
  ),
  host: problem(400, 'bad-host', 'Host is missing, doubled or malformed (RFC 9112 section 3.2)'),
  hostMismatch: problem(400, 'bad-host', "the target's authority and Host differ (RFC 9112 section 3.2.2)"),
  connect: problem(501, 'method-unsupported', 'CONNECT is not served here (RFC 9110 section 9.3.6)'),
  connection: problem(
    400,
    'bad-header',
    'Connection names a field that frames or routes the message (RFC 9110 section 7.6.1)',
  ),
  expectation: problem(
    417,
    'bad-expect',
    'only Expect: 100-continue is understood (RFC 9110 section 10.1.1)',
  ),
  chunk: problem(400, 'bad-framing', 'a chunk header or end is malformed (RFC 9112 section 7.1)'),
  trailer: problem(
    400,
    'bad-framing',
    'the trailer section is malformed, too long or frames the message (RFC 9112 section 7.1.2)',
  ),
  headSlow: problem(408, 'head-timeout', 'the head did not arrive in time'),
  upgrade: problem(
    502,
    'upstream-framing',
    'the upstream switched protocols without being asked (RFC 9110 section 15.2.2)',
  ),
  cutShort: problem(400, 'bad-framing', 'the connection ended before the body did (RFC 9112 section 8)'),
} satisfies Record<string, MessageProblem>;
