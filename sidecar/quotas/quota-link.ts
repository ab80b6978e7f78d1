import type { DrawRequest, QuotaReply } from '../../protocol/quotas/messages.ts';

/** The way to who keeps quotas. Nothing is sent twice: what is under way when it breaks is lost. */
export interface QuotaLink {
  /** Whether it can be asked now. */
  readonly open: boolean;
  send(request: DrawRequest): void;
  onReply(listener: (reply: QuotaReply) => void): void;
  /** It opened, or broke. */
  onChange(listener: () => void): void;
  /** For good: others may have what is this one's share. */
  close(): void;
}
