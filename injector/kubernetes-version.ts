/** Version of a cluster's API server. */
export interface KubernetesVersion {
  readonly major: number;
  readonly minor: number;
}

/** Native sidecars are on by default from here (KEP-753). */
export const NATIVE_SIDECARS: KubernetesVersion = { major: 1, minor: 29 };
/** `preStop.sleep` is on by default from here (KEP-3960). */
export const SLEEP_ACTION: KubernetesVersion = { major: 1, minor: 30 };

export function atLeast(version: KubernetesVersion, wanted: KubernetesVersion): boolean {
  return version.major === wanted.major ? version.minor >= wanted.minor : version.major > wanted.major;
}

/** Reads `1.30`, `v1.36.3` or `1.29+`; undefined for anything else. */
export function parseKubernetesVersion(text: string): KubernetesVersion | undefined {
  const [, major, minor] = /^v?(\d{1,3})\.(\d{1,3})(?:[.+-].*)?$/.exec(text) ?? [];
  return major === undefined || minor === undefined
    ? undefined
    : { major: Number(major), minor: Number(minor) };
}
