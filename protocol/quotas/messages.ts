import * as z from 'zod';

/** Where sidecars draw leases: a stream of JSON lines each way, beside that of resources. */
export const QUOTA_PATH = '/v1/quotas';

/**
 * Header of the stream: a name of this sidecar that stays over reconnects, of up to 128 letters, digits and `_.:/-`. Without
 * it each stream counts as a sidecar of its own.
 */
export const NODE_HEADER = 'tulle-node';

/** Header of the stream of a gateway's proxy: `namespace/name` of its Gateway. */
export const GATEWAY_HEADER = 'tulle-gateway';

/** Of one message; more is split. */
export const MAX_ITEMS = 256;

/** Subjects are what callers are told apart by, joined; longer ones are hashed by the sidecar. */
export const MAX_SUBJECT = 256;

const quota = z.string().min(1).max(600);
const subject = z.string().max(MAX_SUBJECT);
const tokens = z.int().min(0).max(1_000_000);

/** A part of a quota for one subject, as one asks for it. */
const item = z.strictObject({
  /** As `quotaIds` names it; of a service that the caller stands beside, or that its Gateway's routes name. */
  quota,
  subject,
  /**
   * How many are wanted. In mode `exact` all or none of them are granted, else as many as there are, up to a fair
   * share. Of `concurrency` the places that the sidecar wants to hold in all, those that it holds already included.
   */
  want: tokens,
  /**
   * Drawn before by this stream, not used, and given up with this message: the sidecar must not use them any more.
   * Sent once and never again: a return that is lost loses tokens, one that counts twice would exceed the quota.
   * What comes later than `lifeMs` after the draw is not credited. Of `concurrency` always 0: `want` says it.
   */
  back: tokens,
});

/**
 * From sidecar to control plane. Items of one message are of one service, each of another quota or subject. `exact`:
 * several limits of one request, all or nothing, each of another quota.
 */
const draw = z.strictObject({
  type: z.literal('draw'),
  /** Answered by a message of the same number. */
  id: z.int().min(0),
  exact: z.boolean().default(false),
  /** What the last grant of this service said of `sharers`: a store that forgot may not give the shares of others away. */
  sharers: z.int().min(1).optional(),
  /** It is on its share of an outage, or soon will be, until this is answered: the share stays set aside until a draw comes that does not say so. */
  sharing: z.boolean().optional(),
  items: z.array(item).min(1).max(MAX_ITEMS),
});

/**
 * The last word of a sidecar that ends and lets nothing in any more: others may have its share at once. Who is gone without
 * it may go on by itself, and its share is kept for it.
 */
const leave = z.strictObject({ type: z.literal('leave') });

export const quotaRequestSchema = z.discriminatedUnion('type', [draw, leave]);

export type QuotaRequest = z.input<typeof quotaRequestSchema>;
export type DrawRequest = z.input<typeof draw>;
export type QuotaItem = z.infer<typeof item>;

const grant = z.strictObject({
  quota,
  subject,
  granted: tokens,
  /**
   * How long they may be used, counted from when the request was sent, in ms. Of `concurrency`: how long without
   * another message until the places are taken away.
   */
  lifeMs: z.number().min(0),
  /**
   * When none were granted: how long until one may be, in ms. When fewer than were wanted, how long until it is worth asking
   * for more.
   */
  retryAfterMs: z.number().min(0),
  /** What the quota has left for everybody, as far as the store knows: for `RateLimit` fields. */
  remaining: z.number().min(0),
  /** Until it is whole again when nobody draws, in ms. */
  resetMs: z.number().min(0),
  /**
   * Sidecars that draw on quotas of this service, this one included: at an outage each goes on with its share, 1 / this,
   * beginning `SHARE_AFTER_MS` (presence.ts) after it first asked in vain, with nothing saved up, until it is answered.
   */
  sharers: z.int().min(1),
});

/** From control plane to sidecar. */
export const quotaReplySchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('grants'), id: z.int().min(0), grants: z.array(grant).max(MAX_ITEMS) }),
  /** The store cannot be asked: `onOutage` decides. */
  z.strictObject({ type: z.literal('outage'), id: z.int().min(0), detail: z.string().max(500) }),
  /** The request cannot be taken: no such quota, or not this caller's. */
  z.strictObject({ type: z.literal('refused'), id: z.int().min(0), detail: z.string().max(500) }),
  /** A quota has other numbers now: what is held of the old beyond them is given up at once. */
  z.strictObject({
    type: z.literal('changed'),
    quota,
    tokens: z.int().min(0),
    perMs: z.number().min(0),
    burst: z.int().min(0),
  }),
]);

export type QuotaReply = z.infer<typeof quotaReplySchema>;
export type QuotaGrant = z.infer<typeof grant>;
