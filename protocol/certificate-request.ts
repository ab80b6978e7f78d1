import { generateKeyPairSync, sign } from 'node:crypto';

/** DER of one value: tag, length (X.690 section 8.1.3), content. */
function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const header =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(header), content]);
}

const SEQUENCE = 0x30;
/** ecdsa-with-SHA256, 1.2.840.10045.4.3.2 (RFC 5758 section 3.2). */
const ECDSA_SHA256 = der(SEQUENCE, Buffer.from('06082a8648ce3d040302', 'hex'));

/**
 * A new P-256 key, and a request to certify it (PKCS#10, RFC 2986) without any names: the authority
 * knows who asks. Forty lines here save each pod the 20 MB of a library for certificates.
 */
export function createCertificateRequest(): { keyPem: string; csrPem: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const version = Buffer.from('020100', 'hex');
  const noName = der(SEQUENCE);
  const noAttributes = der(0xa0);
  const info = der(
    SEQUENCE,
    version,
    noName,
    publicKey.export({ format: 'der', type: 'spki' }),
    noAttributes,
  );
  const signature = sign('sha256', info, privateKey);
  const request = der(SEQUENCE, info, ECDSA_SHA256, der(0x03, Buffer.from([0]), signature));
  const base64 = request.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return {
    keyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    csrPem: `-----BEGIN CERTIFICATE REQUEST-----\n${base64}\n-----END CERTIFICATE REQUEST-----\n`,
  };
}
