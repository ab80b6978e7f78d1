import type { Cores } from '../cores.ts';
import type { Peer } from '../proxies/peer.ts';
import type { Scenario } from '../scenarios.ts';
import type { Ground, Way } from '../way.ts';

/** Where the bench runs. */
export interface Site extends Ground {
  cores: Cores;
  /** Length of one measured load, in seconds. */
  seconds: number;
  /** Envoy's peak of `100b` in requests a second, measured at its first use. Rejects without Envoy. */
  envoyPeak: () => Promise<number>;
}

/** A scenario under way with a peer whose proxies are up. */
export interface Job {
  site: Site;
  scenario: Scenario;
  peer: Peer;
  way: Way;
}

/** How long a proxy is warmed up before it is measured, in seconds: caches, pools and the JIT. */
export function warmUpSeconds(seconds: number): number {
  return Math.max(1, Math.round(seconds * 0.4));
}
