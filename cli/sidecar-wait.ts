import { setTimeout as delay } from 'node:timers/promises';
import { countOption, durationOption } from './flags.ts';

const LOOK_MS = 100;
const ANSWER_MS = 2_000;

export interface SidecarWaitFlags {
  health: string;
  limit: string;
}

/**
 * Waits until the sidecar of this pod is ready: the postStart hook of a sidecar that is a plain container, so that the
 * kubelet starts no other before. Throws an Error with the sidecar's own reason after the limit.
 */
export async function sidecarWaitCommand(flags: SidecarWaitFlags): Promise<void> {
  const port = countOption('--health', flags.health, 1, 65535);
  const untilMs = performance.now() + durationOption('--limit', flags.limit);
  for (;;) {
    const reason = await notReady(`http://127.0.0.1:${port}/readyz`);
    if (reason === undefined) return;
    if (performance.now() > untilMs)
      throw new Error(`the sidecar was not ready within ${flags.limit}: ${reason}`);
    await delay(LOOK_MS);
  }
}

async function notReady(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) });
    const text = await response.text();
    return response.status === 200 ? undefined : `${response.status} ${text.trim().slice(0, 500)}`;
  } catch (error) {
    const { cause, message } = error as Error; // fetch rejects with nothing else
    return cause instanceof Error ? cause.message : message;
  }
}
