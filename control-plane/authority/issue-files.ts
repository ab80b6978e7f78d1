import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCertificateRequest } from '../../protocol/certificate-request.ts';
import { openAuthority } from './authority.ts';

/**
 * Writes cert.pem, key.pem and bundle.pem for a workload to `dir/NAMESPACE.SERVICEACCOUNT/`. One
 * authority is kept in `dir/authority` for all. Key and folders are for the owner only.
 */
export async function issueFiles(
  dir: string,
  trustDomain: string,
  workload: string,
  leafLifeMs?: number,
): Promise<{ cert: string; key: string; bundle: string }> {
  const authority = await openAuthority(join(dir, 'authority'), {
    trustDomain,
    ...(leafLifeMs !== undefined && { leafLifeMs }),
  });
  try {
    const { keyPem, csrPem } = createCertificateRequest();
    const { chain, bundle } = await authority.issue(csrPem, workload);
    const folder = join(dir, workload.replace('/', '.'));
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const files = {
      cert: join(folder, 'cert.pem'),
      key: join(folder, 'key.pem'),
      bundle: join(folder, 'bundle.pem'),
    };
    rmSync(files.key, { force: true }); // the mode is that of a new file only
    writeFileSync(files.key, keyPem, { mode: 0o600 });
    writeFileSync(files.cert, chain);
    writeFileSync(files.bundle, bundle);
    return files;
  } finally {
    authority.close();
  }
}
