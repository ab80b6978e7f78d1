import * as z from 'zod';
import type { Resource, ResourceKind } from './resources.ts';

/** The wire format's version; a server speaks the client's as long as it knows it. */
export const PROTOCOL_VERSION = 1;
/** The identity that a control plane proves. */
export const CONTROL_PLANE_WORKLOAD = 'tulle-system/control-plane';

/** A line of the stream, in bytes. */
export const MAX_LINE_BYTES = 4 * 1024 * 1024;

const kind = z.enum(['service', 'gateway']);
const key = z.string().regex(/^[a-z0-9-]{1,63}\/[a-z0-9.-]{1,253}$/);

/** From sidecar to control plane, a JSON object a line. */
export const clientMessageSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    version: z.int(),
    node: z.object({
      id: z.string().min(1).max(253),
      workload: z.string().max(320),
      version: z.string().max(64),
    }),
  }),
  z.object({
    type: z.literal('subscribe'),
    resources: z.array(z.object({ kind, key, version: z.string().max(64).optional() })).max(10_000),
  }),
  z.object({ type: z.literal('unsubscribe'), resources: z.array(z.object({ kind, key })).max(10_000) }),
]);

export type ClientMessage = z.infer<typeof clientMessageSchema>;

/** From control plane to sidecar. */
export type ServerMessage =
  | {
      readonly type: 'welcome';
      readonly version: number;
      readonly trustDomain: string;
      readonly server: string;
    }
  | { readonly type: 'resource'; readonly resource: Resource }
  | {
      readonly type: 'unchanged';
      readonly kind: ResourceKind;
      readonly key: string;
      readonly version: string;
    }
  | { readonly type: 'absent'; readonly kind: ResourceKind; readonly key: string }
  | { readonly type: 'bundle'; readonly pem: string }
  | { readonly type: 'bye'; readonly reason: string };
