import assert from 'node:assert/strict';
import { runCommand } from '../fixture/command.ts';

/** What kubectl said; KUBECONFIG names the cluster. */
export interface Answer {
  readonly code: number | null;
  readonly out: string;
  /** Warnings of the API server, and reasons of a refusal. */
  readonly err: string;
}

/** As much of any object as tests look at without a type. */
export type Json = Record<string, unknown>;

export async function kubectl(args: readonly string[], input?: string): Promise<Answer> {
  return runCommand('kubectl', args, { input: input ?? '', limitMs: 60_000 });
}

/** Creates an object; `stored` is what the API server made of it, undefined if it refused. */
export async function create<T = Json>(object: object, ...flags: string[]): Promise<Answer & { stored?: T }> {
  const answer = await kubectl(['create', '-f', '-', '-o', 'json', ...flags], JSON.stringify(object));
  return answer.code === 0 ? { ...answer, stored: JSON.parse(answer.out) as T } : answer;
}

/** Creates what the API server must take. */
export async function created<T = Json>(object: object, ...flags: string[]): Promise<T> {
  const answer = await create<T>(object, ...flags);
  assert.ok(answer.stored !== undefined, answer.err);
  return answer.stored;
}

/** Reads objects: `get('pods', '-n', 'shop')`. */
export async function get<T = Json>(...args: string[]): Promise<T> {
  const answer = await kubectl(['get', '-o', 'json', ...args]);
  assert.equal(answer.code, 0, answer.err);
  return JSON.parse(answer.out) as T;
}
