import * as z from 'zod';
import { isResourceKind, type Resource, type ResourceKind } from './resources.ts';

/** The wire format's version; a server speaks the client's as long as it knows it. */
export const PROTOCOL_VERSION = 1;
/** The identity that a control plane proves. */
export const CONTROL_PLANE_WORKLOAD = 'tulle-system/control-plane';

/** A line of the stream, in bytes. */
export const MAX_LINE_BYTES = 4 * 1024 * 1024;

/** `namespace/name`, of a service perhaps with its port; of an address `IP:PORT`. */
const KNOWN_KEY =
  /^([a-z0-9-]{1,63}\/[a-z0-9.-]{1,253}(:\d{1,5})?|(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]{2,45}\]):\d{1,5})$/;

/** What is asked for. A newer sidecar may ask for kinds, and by keys, that this version does not know. */
const wanted = z.object({
  kind: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/),
  key: z.string().regex(/^[!-~]{1,340}$/),
});
const hasKnownKey = ({ kind, key }: z.infer<typeof wanted>): boolean =>
  !isResourceKind(kind) || KNOWN_KEY.test(key);
const KEY_MEANT = { error: 'a key is not NAMESPACE/NAME, NAMESPACE/NAME:PORT or IP:PORT' };

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
    resources: z
      .array(wanted.extend({ version: z.string().max(64).optional() }).refine(hasKnownKey, KEY_MEANT))
      .max(10_000),
  }),
  z.object({
    type: z.literal('unsubscribe'),
    resources: z.array(wanted.refine(hasKnownKey, KEY_MEANT)).max(10_000),
  }),
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
  /** `kind` is as it was asked for: what this control plane does not know is absent. */
  | { readonly type: 'absent'; readonly kind: string; readonly key: string }
  | { readonly type: 'bundle'; readonly pem: string }
  | { readonly type: 'bye'; readonly reason: string };
