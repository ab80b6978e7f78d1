import type { X509Certificate } from 'node:crypto';

/** `TYPE:value`; a value that holds separators is a JSON text. */
const NAME = /([^:]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/y;

/**
 * The URIs among a certificate's subject alternative names. Node tells all names as one text: it is read name by
 * name, since a host name that holds `, URI:spiffe://...` is not a URI.
 */
export function subjectUris({ subjectAltName = '' }: Pick<X509Certificate, 'subjectAltName'>): string[] {
  const uris: string[] = [];
  NAME.lastIndex = 0;
  for (let name = NAME.exec(subjectAltName); name !== null; name = NAME.exec(subjectAltName)) {
    const [, type, value = ''] = name;
    if (type === 'URI') uris.push(value.startsWith('"') ? String(JSON.parse(value)) : value);
  }
  return uris;
}
