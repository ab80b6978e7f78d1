import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** One workload's PEM files. */
export interface Certificate {
  cert: string;
  key: string;
  /** Certificate and key in one file, as HAProxy wants it. */
  both: string;
}

/** All PEM files of the bench: every peer uses the same. */
export interface Certificates {
  bundle: string;
  client: Certificate;
  app: Certificate;
}

/** The name under which peers that do not know SPIFFE check the application's certificate. */
export const appName = 'app.bench';
/** The trust domain of all SPIFFE identities in the bench. */
export const trustDomain = 'bench.test';

function openssl(args: readonly string[]): void {
  const result = spawnSync('openssl', [...args], { encoding: 'utf8' });
  if (result.error) throw result.error;
  if (result.status !== 0) throw new Error(`openssl ${args.join(' ')}: ${result.stderr}`);
}

function newKey(file: string): void {
  openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', file]);
}

function issueRoot(directory: string): { cert: string; key: string } {
  const root = { cert: join(directory, 'root.pem'), key: join(directory, 'root.key') };
  newKey(root.key);
  const extensions = [
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
    '-addext',
    `subjectAltName=URI:spiffe://${trustDomain}`,
  ];
  openssl([
    'req',
    '-x509',
    '-new',
    '-key',
    root.key,
    '-subj',
    '/O=Tulle bench',
    '-days',
    '2',
    '-out',
    root.cert,
    ...extensions,
  ]);
  return root;
}

function issueLeaf(directory: string, root: { cert: string; key: string }, name: string): Certificate {
  const file = (ending: string) => join(directory, `${name}.${ending}`);
  newKey(file('key'));
  openssl(['req', '-new', '-key', file('key'), '-subj', `/CN=${name}.bench`, '-out', file('csr')]);
  writeFileSync(
    file('ext'),
    `basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
subjectAltName=URI:spiffe://${trustDomain}/ns/bench/sa/${name},DNS:${name}.bench
`,
  );
  const issuer = ['-CA', root.cert, '-CAkey', root.key, '-CAcreateserial'];
  openssl([
    'x509',
    '-req',
    '-in',
    file('csr'),
    ...issuer,
    '-days',
    '1',
    '-extfile',
    file('ext'),
    '-out',
    file('pem'),
  ]);
  writeFileSync(file('both'), readFileSync(file('pem'), 'utf8') + readFileSync(file('key'), 'utf8'), {
    mode: 0o600,
  });
  return { cert: file('pem'), key: file('key'), both: file('both') };
}

/**
 * Issues a root and the leaves `bench/client` and `bench/app`, ECDSA P-256. A leaf carries its SPIFFE id and a
 * DNS name, since nginx and HAProxy cannot check the first. Throws when openssl is missing or fails.
 */
export function issueCertificates(parent: string): Certificates {
  const directory = join(parent, 'certificates');
  mkdirSync(directory, { mode: 0o700 });
  const root = issueRoot(directory);
  return {
    bundle: root.cert,
    client: issueLeaf(directory, root, 'client'),
    app: issueLeaf(directory, root, 'app'),
  };
}
