import type { ChaosMesh } from '../mesh.ts';
import type { Schedulable } from '../schedule.ts';

/** Something that goes wrong, and is put right again. */
export interface Fault extends Schedulable {
  /**
   * Makes it at `target`, waits `lastsMs`, heals it, and resolves when the part is as before. Says what it impairs meanwhile.
   * Resolves with what shows that it really hit; '': nothing does.
   */
  strike(mesh: ChaosMesh, target: string, lastsMs: number): Promise<string>;
}

/** kill -9 of all of them: they hit if each one ran. */
export async function killAll(parts: readonly { kill(): Promise<boolean> }[]): Promise<string> {
  const killed = await Promise.all(parts.map((part) => part.kill()));
  return killed.every((one) => one) ? `${killed.length} processes ended by SIGKILL` : '';
}

/** SIGSTOP for so long: it hit if the process still stood at the end. */
export async function freezeFor(
  part: { freeze(): void; thaw(): void; readonly isFrozen: boolean },
  lastsMs: number,
): Promise<string> {
  part.freeze();
  await pause(lastsMs);
  const sign = part.isFrozen ? 'the process stood still' : '';
  part.thaw();
  return sign;
}

/** What a link felt since `before`. */
export function feltSince(link: { readonly felt: number }, before: number): string {
  const felt = link.felt - before;
  return felt === 0 ? '' : `${felt} connections and pieces felt it`;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
