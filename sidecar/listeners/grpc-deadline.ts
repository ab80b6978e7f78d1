const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Longer waits than a timer can hold are none. */
const LONGEST_MS = 2 ** 31 - 1;

/** Milliseconds of a `grpc-timeout`, at least 1; 0 when it says nothing that is understood. */
export function grpcTimeoutMs(value: string | undefined): number {
  const match = /^(\d{1,8})([HMSmun])$/.exec(value ?? '');
  if (match === null) return 0;
  const ms = Number(match[1]) * (UNIT_MS[match[2] ?? ''] as number); // the expression has no other letters
  return ms > LONGEST_MS ? 0 : Math.max(1, Math.ceil(ms));
}

/** `ms` as a `grpc-timeout`: at most eight digits. */
export function grpcTimeout(ms: number): string {
  const whole = Math.ceil(ms);
  return whole < 1e8 ? `${whole}m` : `${Math.ceil(ms / 1000)}S`;
}
