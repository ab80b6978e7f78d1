import * as z from 'zod';

/** The annotation that says what injecting changed of what was there, so that uninjecting can put it back. */
export const CHANGES_ANNOTATION = 'tulle.dev/changes';

const changesSchema = z.strictObject({
  /** Containers that got a preStop. */
  preStop: z.array(z.string()).optional(),
  /** `CONTAINER.PROBE` and the tcpSocket that it had. */
  tcpProbes: z
    .record(
      z.string(),
      z.strictObject({ port: z.union([z.string(), z.number()]), host: z.string().optional() }),
    )
    .optional(),
  /** kubectl's default container was set. */
  defaultContainer: z.literal(true).optional(),
  /** Mappings and lists that were there and empty, as JSON Pointers. */
  empty: z.array(z.string()).optional(),
});

export type Changes = z.infer<typeof changesSchema>;

/** What the annotation of a pod says; nothing if there is none, or if somebody wrote something else into it. */
export function readChanges(annotations: Readonly<Record<string, string>> | undefined): Changes {
  try {
    return changesSchema.safeParse(JSON.parse(annotations?.[CHANGES_ANNOTATION] ?? '{}')).data ?? {};
  } catch {
    return {};
  }
}

/** Both, as one. */
export function mergeChanges(a: Changes, b: Changes): Changes {
  const preStop = [...(a.preStop ?? []), ...(b.preStop ?? [])];
  const tcpProbes = { ...a.tcpProbes, ...b.tcpProbes };
  const empty = [...(a.empty ?? []), ...(b.empty ?? [])];
  return {
    ...(preStop.length > 0 && { preStop }),
    ...(Object.keys(tcpProbes).length > 0 && { tcpProbes }),
    ...((a.defaultContainer ?? b.defaultContainer) && { defaultContainer: true as const }),
    ...(empty.length > 0 && { empty }),
  };
}
