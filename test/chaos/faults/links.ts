import { until } from '../../fixture/wait.ts';
import type { FaultProxy } from '../fault-proxy.ts';
import { RECOVERY_MS } from '../mesh.ts';
import { type Fault, feltSince, pause } from './fault.ts';

/** What is done to a link, at once or again and again for so long. */
type MakeIll = (link: FaultProxy, lastsMs: number) => unknown;

/**
 * A link is ill as `makeIll` says for so long, and until nobody goes on using a connection whose other side is gone.
 * Resolves with what it felt.
 */
export async function illLink(
  link: FaultProxy,
  target: string,
  lastsMs: number,
  makeIll: MakeIll,
): Promise<string> {
  const [before, untilMs] = [link.felt, performance.now() + lastsMs];
  await makeIll(link, lastsMs);
  await pause(untilMs - performance.now());
  link.clear();
  await until(`half-open connections to ${target} to be given up`, () => link.halfOpen === 0, RECOVERY_MS);
  return feltSince(link, before);
}

/** A fault of the link to an endpoint, which is impaired meanwhile. */
function endpointLink(name: string, lastsMs: readonly [number, number], makeIll: MakeIll): Fault {
  return {
    ...{ name, aim: 'endpoint', lastsMs },
    async strike(mesh, target, forMs) {
      const { link } = mesh.endpoint(target);
      const healed = mesh.impair(name, [target]);
      const sign = await illLink(link, target, forMs, makeIll);
      healed();
      return sign;
    },
  };
}

async function again(everyMs: number, lastsMs: number, act: () => void): Promise<void> {
  const untilMs = performance.now() + lastsMs;
  while (performance.now() < untilMs) {
    act();
    await pause(everyMs);
  }
}

/** All connections to an endpoint are reset, again and again. */
export const resetLink = endpointLink('reset-link', [500, 3_000], (link, lastsMs) =>
  again(250, lastsMs, () => link.reset()),
);

/** Connections to an endpoint are refused, and those that are there are reset. */
export const refuseLink = endpointLink('refuse-link', [1_000, 4_000], (link) => {
  link.weather = { kind: 'refusing' };
  link.reset();
});

/** The far sides of all connections are gone and nobody says so; new connections are well. */
export const halfOpenLink = endpointLink('half-open-link', [100, 500], (link) => link.cut());

/** Nothing arrives, on old connections nor on new ones, and nobody is told. */
export const silentLink = endpointLink('silent-link', [3_000, 8_000], silence);

export function silence(link: FaultProxy): void {
  link.weather = { kind: 'silent' };
}

/**
 * All bytes come late, though in time for every policy: no request may fail of it. But a handshake is several ways
 * long: new connections may take longer than a try may.
 */
export const lateLink = endpointLink('late-link', [2_000, 6_000], (link) => {
  link.weather = { kind: 'late', ms: 150 };
});

/** So few bytes pass in a second that answers queue. */
export const narrowLink = endpointLink('narrow-link', [2_000, 6_000], (link) => {
  link.weather = { kind: 'narrow', bytesPerSecond: 20_000 };
});

/** Bytes that nobody sent come on connections in use. */
export const garbleLink = endpointLink('garble-link', [500, 2_000], (link, lastsMs) =>
  again(200, lastsMs, () => link.garble()),
);

/** Nothing passes between data planes and one control plane, and nobody is told: no request may fail of it. */
export const silentControlPlane: Fault = {
  name: 'silent-control-plane',
  aim: 'control-plane',
  // Data planes that have nothing to say ask every 5 s whether it is there.
  lastsMs: [6_000, 10_000],
  async strike(mesh, target, lastsMs) {
    const sign = await illLink(mesh.controlPlane(target).link, target, lastsMs, silence);
    await mesh.untilAllReady();
    return sign;
  },
};
