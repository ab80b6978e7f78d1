import { until } from '../../fixture/wait.ts';
import { nowMs } from '../evidence.ts';
import { type ChaosMesh, certificateLeftMs, RECOVERY_MS } from '../mesh.ts';
import type { Part } from '../part.ts';
import { type Fault, killAll, pause } from './fault.ts';

/** kill -9 of one control plane: no request may fail of it. */
export const killControlPlane: Fault = {
  name: 'kill-control-plane',
  aim: 'control-plane',
  lastsMs: [500, 4_000],
  async strike(mesh, target, lastsMs) {
    const { part } = mesh.controlPlane(target);
    const sign = await killAll([part]);
    await pause(lastsMs);
    await part.start();
    await mesh.untilAllReady();
    return sign;
  },
};

/** kill -9 of all control planes, for less than a certificate has left: no request may fail of it. */
export const killControlPlanes: Fault = {
  name: 'kill-control-planes',
  aim: 'control-planes',
  lastsMs: [1_000, 6_000],
  async strike(mesh, _target, lastsMs) {
    const parts = mesh.controlPlanes.map(({ part }) => part);
    await mesh.orphan();
    const sign = await killAll(parts);
    await pause(lastsMs);
    await Promise.all(parts.map((part) => part.start()));
    mesh.isOrphaned = false;
    await mesh.untilAllReady();
    return sign;
  },
};

/** A certificate's end is told to the second, and clients of its bearer may look a little earlier. */
const EARLY_MS = 1_500;

interface Ending {
  readonly name: string;
  readonly sidecar: Part;
  readonly endMs: number;
}

/** When the certificates of all data planes that have one end, the first one first. */
async function endingsOf(mesh: ChaosMesh): Promise<Ending[]> {
  const endings = await Promise.all(mesh.sidecars.map(endingOf));
  return endings.flat().sort((a, b) => a.endMs - b.endMs);
}

/** One that is frozen, or is just started again, tells it a little later. */
async function endingOf(sidecar: Part): Promise<Ending[]> {
  let leftMs: Awaited<ReturnType<typeof certificateLeftMs>>;
  const isTold = async (): Promise<boolean> => {
    leftMs = await certificateLeftMs(sidecar);
    return leftMs !== undefined;
  };
  await until(`${sidecar.name} to tell its certificate`, isTold);
  return typeof leftMs === 'number' ? [{ name: sidecar.name, sidecar, endMs: nowMs() + leftMs }] : [];
}

function untilRenewed({ name, sidecar, endMs }: Ending): Promise<void> {
  const isRenewed = async (): Promise<boolean> => {
    const leftMs = await certificateLeftMs(sidecar);
    return typeof leftMs === 'number' && nowMs() + leftMs > endMs + EARLY_MS;
  };
  return until(`${name} to have another certificate`, isRenewed, RECOVERY_MS);
}

/** Who has not got another certificate so long after control planes began to come back is ill for it. */
const RENEWED_MS = 20_000;

/** Handshakes that began with certificates that had ended hang until their time limit, and requests with them. */
const HANDSHAKE_MS = 10_000;

/**
 * All control planes are away until the certificates of a third of the data planes have ended, so that these can make no
 * new connection, and take none; the others go on. When control planes come back, they get new ones by their tokens.
 * Who has a certificate all the time is not impaired.
 */
export const expireCertificates: Fault = {
  name: 'expire-certificates',
  aim: 'control-planes',
  lastsMs: [500, 2_000],
  async strike(mesh, _target, lastsMs) {
    const planes = mesh.controlPlanes.map(({ part }) => part);
    try {
      await mesh.orphan();
      await killAll(planes);
      const endings = await endingsOf(mesh);
      const third = endings[Math.floor(endings.length / 3)];
      const backMs = Math.max(nowMs(), third?.endMs ?? 0) + lastsMs;
      // Control planes that are back have to start, and to be asked: more certificates end meanwhile.
      const ill = endings
        .filter(({ endMs }) => endMs < backMs + RENEWED_MS)
        .map((ending) => ({
          ...ending,
          healed: mesh.impair(
            'expire-certificates',
            [ending.name],
            Math.max(0, ending.endMs - EARLY_MS - nowMs()),
          ),
        }));
      await pause(backMs - nowMs());
      const left = await Promise.all(ill.map(({ sidecar }) => certificateLeftMs(sidecar)));
      const ended = left.filter((leftMs) => typeof leftMs === 'number' && leftMs <= 0).length;
      await Promise.all(planes.map((part) => part.start()));
      mesh.isOrphaned = false;
      await Promise.all(
        ill.map(async ({ healed, ...ending }) => {
          await untilRenewed(ending);
          await mesh.untilReady(ending.sidecar);
          const inTime = nowMs() < ending.endMs - EARLY_MS;
          healed(inTime ? Number.NEGATIVE_INFINITY : HANDSHAKE_MS);
        }),
      );
      await mesh.untilAllReady();
      return ended === 0 ? '' : `${ended} certificates ended`;
    } finally {
      mesh.isOrphaned = false;
    }
  },
};
