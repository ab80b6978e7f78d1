import { createHash } from 'node:crypto';

const SUFFIX = '-tulle';
/** Of a Service (RFC 1035). */
const MAX_NAME = 63;

/** Name of all that is provisioned for a Gateway, the ServiceAccount among it. No two Gateways of a namespace have the same. */
export function provisionedName(gateway: string): string {
  if (/^[a-z][a-z0-9-]*$/.test(gateway) && gateway.length + SUFFIX.length <= MAX_NAME)
    return `${gateway}${SUFFIX}`;
  const hash = createHash('sha256').update(gateway).digest('hex').slice(0, 8);
  const readable = gateway.replaceAll('.', '-').replace(/^[^a-z]/, 'g$&');
  return `${readable.slice(0, MAX_NAME - SUFFIX.length - hash.length - 1)}-${hash}${SUFFIX}`;
}
