import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { numberOption } from './number-option.ts';

export interface ShopTrafficFlags {
  readonly rate: string;
  readonly count?: string;
  readonly wait: string;
}

/** What became of the requests so far. `failures`: how often each reason. */
interface Tally {
  sent: number;
  succeeded: number;
  readonly failures: Record<string, number>;
}

const TELL_MS = 1_000;
const TIMEOUT_MS = 10_000;

/**
 * Asks `url` at a steady rate, and prints a line of JSON a second: requests sent, succeeded, and failed by reason.
 * Ends on SIGTERM, or after --count requests: with code 1 if one of them failed. A shop that is only being built gets
 * --wait seconds to answer a first time: what fails until then is not counted.
 */
export async function shopTrafficCommand(url: string, flags: ShopTrafficFlags): Promise<void> {
  const rate = numberOption('--rate', flags.rate);
  const count = flags.count === undefined ? Number.POSITIVE_INFINITY : numberOption('--count', flags.count);
  const waitMs = numberOption('--wait', flags.wait) * 1_000;
  const tally: Tally = { sent: 0, succeeded: 0, failures: {} };
  let stopped = false;
  process.once('SIGTERM', () => {
    stopped = true;
  });
  const tell = () => console.log(JSON.stringify(tally));
  for (const endMs = performance.now() + waitMs; performance.now() < endMs && !stopped; await sleep(200)) {
    const first: Tally = { sent: 1, succeeded: 0, failures: {} };
    await ask(url, first);
    if (first.succeeded === 1) break;
  }
  const telling = setInterval(tell, TELL_MS);
  const answers: Promise<void>[] = [];
  const startMs = performance.now();
  while (!stopped && tally.sent < count) {
    tally.sent++;
    answers.push(ask(url, tally));
    // Against the clock, so that one late turn does not lower the rate.
    await sleep(Math.max(0, startMs + (tally.sent * 1_000) / rate - performance.now()));
    if (answers.length > 1_000) await Promise.all(answers.splice(0, 500));
  }
  await Promise.all(answers);
  clearInterval(telling);
  tell();
  process.exit(Object.keys(tally.failures).length === 0 ? 0 : 1);
}

async function ask(url: string, tally: Tally): Promise<void> {
  try {
    const limits = { headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS };
    const { statusCode, headers, body } = await request(url, limits);
    const text = await body.text();
    if (statusCode === 200) tally.succeeded++;
    else fail(tally, `${statusCode} ${headers['tulle-reason'] ?? text.slice(0, 200)}`);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    fail(tally, code ?? message);
  }
}

function fail({ failures }: Tally, reason: string): void {
  failures[reason] = (failures[reason] ?? 0) + 1;
}
