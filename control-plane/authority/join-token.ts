import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { errors, jwtVerify, SignJWT } from 'jose';
import { isWorkload } from '../../protocol/spiffe.ts';
import { AuthorityError } from './authority-error.ts';
import { type AuthorityStore, openStore, storeFile } from './authority-store.ts';

const AUDIENCE = 'tulle';
const SECRET = 'join-token';
const MAX_TOKEN = 8192;

function signingKey(store: AuthorityStore): Buffer {
  const known = store.secret(SECRET);
  if (known !== undefined) return known;
  // Of two processes that start at once, one wins: both read what is stored.
  store.setSecret(SECRET, randomBytes(32));
  return store.secret(SECRET) ?? signingKey(store);
}

/** Makes the token by which a workload gets its first certificate. `ttlMs`: how long it may be used. */
export async function mintToken(store: AuthorityStore, workload: string, ttlMs: number): Promise<string> {
  if (!isWorkload(workload))
    throw new AuthorityError(
      'ERR_TOKEN',
      `"${workload}" is not a workload; write NAMESPACE/SERVICEACCOUNT, like shop/orders`,
    );
  return new SignJWT()
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(workload)
    .setAudience(AUDIENCE)
    .setIssuedAt()
    .setExpirationTime(new Date(Date.now() + ttlMs))
    .setJti(randomBytes(12).toString('base64url'))
    .sign(signingKey(store));
}

/** The same from outside of a running control plane, by its state directory. */
export async function mintJoinToken(stateDir: string, workload: string, ttlMs: number): Promise<string> {
  if (!existsSync(storeFile(stateDir)))
    throw new Error(`${stateDir} is not the state of a control plane: there is no authority.db in it`);
  const store = openStore(stateDir);
  try {
    return await mintToken(store, workload, ttlMs);
  } finally {
    store.close();
  }
}

/** Whose token it is. Throws AuthorityError (ERR_TOKEN); never tells the token. */
export async function verifyToken(store: AuthorityStore, token: string): Promise<string> {
  if (token.length > MAX_TOKEN) throw new AuthorityError('ERR_TOKEN', 'the join token is too long');
  try {
    const { payload } = await jwtVerify(token, signingKey(store), {
      algorithms: ['HS256'],
      audience: AUDIENCE,
      requiredClaims: ['sub', 'exp'],
    });
    if (payload.sub !== undefined && isWorkload(payload.sub)) return payload.sub;
  } catch (error) {
    if (error instanceof errors.JWTExpired)
      throw new AuthorityError('ERR_TOKEN', 'the join token has expired: make another with `tulle token`');
    throw new AuthorityError('ERR_TOKEN', 'the join token is not one of this authority for audience tulle');
  }
  throw new AuthorityError('ERR_TOKEN', 'the join token names no workload');
}
