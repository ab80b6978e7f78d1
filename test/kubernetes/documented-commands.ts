import { join } from 'node:path';
import { output } from './cluster/command.ts';

const ROOT = join(import.meta.dirname, '../..');

/** A block of commands of a page. */
export interface CommandBlock {
  /** Line of the page at which it starts, for messages. */
  readonly line: number;
  readonly text: string;
}

const BLOCK = /^```sh\n(.*?)^```$/gms;

/**
 * The commands that a page of documentation tells the reader to type: its blocks marked `sh`, in order. Throws an Error
 * when the page has none: a test that runs them must not pass because they moved.
 */
export function documentedCommands(page: string): CommandBlock[] {
  const blocks = [...page.matchAll(BLOCK)].map(({ index, 1: text = '' }) => ({
    line: page.slice(0, index).split('\n').length,
    text,
  }));
  if (blocks.length === 0) throw new Error('the page has no block of commands');
  return blocks;
}

/** Runs a block as a reader would, in the repository's folder, and returns what it printed. Rejects where it fails. */
export function runBlock({ line, text }: CommandBlock): Promise<string> {
  return output('env', '-C', ROOT, 'bash', '-euo', 'pipefail', '-c', text).catch((error: Error) => {
    throw new Error(`line ${line}: ${error.message}`);
  });
}
