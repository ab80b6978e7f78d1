import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { limitOf } from '../../protocol/quotas/limits.fixture.ts';
import type { Demand } from './demand.ts';
import type { Fleet } from './fleet.ts';
import { quantile, type Row, rowOf } from './row.ts';

const ROUNDS = 6;
/** Control planes that were told know better than their registry for a few seconds. */
const OTHERS_AFTER_MS = 700;
const ROUND_MS = 1_600;
/** What was drawn of the old quota is used for so long at most. */
const LEASE_MS = 100;

interface Settings {
  readonly rate: number;
  readonly controlPlanes: number;
  readonly demand: Demand;
}

/**
 * The quota becomes half as much and whole again, by turns. The registry of one control plane says so first, each time of
 * another, and the others hear of it by pub/sub.
 */
export async function measureChanges(
  fleet: Fleet,
  redis: string,
  { rate, controlPlanes, demand }: Settings,
): Promise<Row> {
  const listener = new Redis({ host: redis });
  const published: number[] = [];
  listener.on('pmessage', () => void published.push(fleet.nowMs));
  await listener.psubscribe('tulle:quotas:*');
  const written: number[] = [];
  const run = await fleet.run(ROUNDS * ROUND_MS, demand, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const limit = `${round % 2 === 0 ? rate / 2 : rate}/s`;
      const first = round % controlPlanes;
      written.push(fleet.nowMs);
      fleet.change(first, limit);
      await pause(OTHERS_AFTER_MS);
      for (let plane = 0; plane < controlPlanes; plane++) if (plane !== first) fleet.change(plane, limit);
      await pause(ROUND_MS - OTHERS_AFTER_MS);
    }
  });
  listener.disconnect();
  const [ofWritten, ofPublished] = [
    sinceNearest(written, run.changedMs),
    sinceNearest(published, run.changedMs),
  ];
  const row = rowOf('the quota halved and doubled again, by turns', fleet, run);
  return {
    ...row,
    excess: Math.max(row.excess, ...excessOfHalves(fleet, written, run.changedMs, rate)),
    changes: {
      told: run.changedMs.length,
      writtenP50Ms: quantile(ofWritten, 0.5),
      writtenP99Ms: quantile(ofWritten, 0.99),
      publishedP50Ms: quantile(ofPublished, 0.5),
      publishedP99Ms: quantile(ofPublished, 0.99),
    },
  };
}

/** From the start that was nearest; 0: before it, as those of whom publishes are told. */
function sinceNearest(starts: readonly number[], changedMs: readonly number[]): number[] {
  return changedMs.map((ms) => {
    const nearest = starts.toSorted((one, other) => Math.abs(ms - one) - Math.abs(ms - other))[0] ?? 0;
    return Math.max(0, ms - nearest);
  });
}

/** Beyond the half quota while it held: from when all were told, and what they held was over. */
function excessOfHalves(
  fleet: Fleet,
  written: readonly number[],
  changedMs: readonly number[],
  rate: number,
): number[] {
  const { tokens, perMs, burst } = limitOf(`${rate / 2}/s`);
  return written.flatMap((fromMs, round) => {
    if (round % 2 === 1) return [];
    const untilMs = written[round + 1] ?? fromMs + ROUND_MS;
    const told = Math.max(...changedMs.filter((ms) => ms >= fromMs && ms < untilMs));
    return [fleet.admitted.excess(tokens / perMs, burst, told + LEASE_MS, untilMs)];
  });
}
