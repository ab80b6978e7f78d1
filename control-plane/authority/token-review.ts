import { AuthenticationV1Api, type V1TokenReviewStatus } from '@kubernetes/client-node';
import { decodeJwt } from 'jose';
import { isWorkload } from '../../protocol/spiffe.ts';
import { type ApiServer, reasonOf } from '../kubernetes/api-server.ts';
import type { TokenSubject } from './authority.ts';
import { AuthorityError } from './authority-error.ts';

const AUDIENCE = 'tulle';
const MAX_TOKEN = 8192;
const MAX_REVIEWS = 32;
const MAX_WAITING = 512;
const POD_NAME = 'authentication.kubernetes.io/pod-name';

/**
 * Finds out by TokenReview whose projected service account token it is. What it returns throws
 * AuthorityError: ERR_TOKEN if the API server does not know it, ERR_UNAVAILABLE if nobody can say now.
 */
export function tokenReviewer(api: ApiServer): (token: string) => Promise<TokenSubject> {
  const reviews = api.client(AuthenticationV1Api);
  const turn = turns(MAX_REVIEWS, MAX_WAITING);
  return async (token) => {
    checkShape(token);
    await turn.take();
    try {
      const review = await reviews.createTokenReview({ body: { spec: { token, audiences: [AUDIENCE] } } });
      return subjectOf(review.status);
    } catch (error) {
      if (error instanceof AuthorityError) throw error;
      throw new AuthorityError(
        'ERR_UNAVAILABLE',
        `the API server cannot review the token now (${reasonOf(error)}): try again`,
      );
    } finally {
      turn.give();
    }
  };
}

/** What can never be right is no work for the API server; the reason helps who wrote the pod by hand. */
function checkShape(token: string): void {
  if (token.length > MAX_TOKEN) throw new AuthorityError('ERR_TOKEN', 'the token is too long');
  let audience: string | string[] | undefined;
  try {
    audience = decodeJwt(token).aud;
  } catch {
    throw new AuthorityError('ERR_TOKEN', 'the token is no service account token (JWT)');
  }
  if (![audience].flat().includes(AUDIENCE))
    throw new AuthorityError(
      'ERR_TOKEN',
      `the token is not for the audience ${AUDIENCE}: project one with "audience: ${AUDIENCE}"`,
    );
}

/** Whom a review names. Throws AuthorityError (ERR_TOKEN). */
export function subjectOf(status: V1TokenReviewStatus | undefined): TokenSubject {
  if (status?.authenticated !== true)
    throw new AuthorityError(
      'ERR_TOKEN',
      'the API server does not accept the token: it is forged, has expired, or its pod or service account is gone',
    );
  // Without this a server that knows no audiences would take tokens for others (TokenReview, spec.audiences).
  if (status.audiences?.includes(AUDIENCE) !== true)
    throw new AuthorityError('ERR_TOKEN', `the token is not for the audience ${AUDIENCE}`);
  const { username = '', extra } = status.user ?? {};
  const [, namespace, account] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(username) ?? [];
  const workload = `${namespace}/${account}`;
  if (namespace === undefined || !isWorkload(workload))
    throw new AuthorityError('ERR_TOKEN', 'the token is not that of a service account');
  const pod = extra?.[POD_NAME]?.[0];
  return { workload, ...(pod !== undefined && { pod }) };
}

/** Lets `most` go on at a time and `waiting` wait. */
function turns(most: number, waiting: number): { take(): Promise<void>; give(): void } {
  const queue: (() => void)[] = [];
  let taken = 0;
  return {
    async take() {
      if (taken < most) {
        taken++;
        return;
      }
      if (queue.length >= waiting)
        throw new AuthorityError('ERR_UNAVAILABLE', 'too many tokens wait for a review: try again');
      await new Promise<void>((resolve) => queue.push(resolve));
    },
    give() {
      const next = queue.shift();
      if (next === undefined) taken--;
      else next(); // its turn is handed on
    },
  };
}
