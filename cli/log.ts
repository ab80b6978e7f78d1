import type { Logger } from 'pino';
import { LOG_LEVELS, type LogLevel } from './flags.ts';

export type Log = Record<LogLevel, (details: object, message: string) => void>;

/** Bytes of lines that wait for a slow reader; beyond it lines are lost, and requests go on. */
const MAX_WAITING = 1024 * 1024;

/**
 * A JSON log to standard error: standard output is for what a command answers. pino is loaded with the
 * first line, since a quiet sidecar does without its 6 MB; lines keep their order meanwhile. A full disk or
 * a collector that no longer reads stops nothing but the log.
 */
export function createLog(level: LogLevel): Log {
  const least = LOG_LEVELS.indexOf(level);
  let logger: Logger | undefined;
  let waiting: ((ready: Logger) => void)[] | undefined;
  const write = (line: (ready: Logger) => void): void => {
    if (logger !== undefined) {
      line(logger);
      return;
    }
    if (waiting !== undefined) {
      waiting.push(line);
      return;
    }
    waiting = [line];
    void import('pino').then(({ destination, pino, stdTimeFunctions }) => {
      const output = destination({ fd: 2, sync: false, maxLength: MAX_WAITING });
      // A line that could not be written is written again with the next one.
      output.on('error', () => {});
      logger = pino({ level, base: null, timestamp: stdTimeFunctions.isoTime }, output);
      for (const one of waiting ?? []) one(logger);
      waiting = undefined;
    });
  };
  const at = (one: LogLevel) => (details: object, message: string) => {
    if (LOG_LEVELS.indexOf(one) >= least) write((ready) => ready[one](details, message));
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
