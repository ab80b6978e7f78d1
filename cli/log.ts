import type { Logger } from 'pino';
import type { LogLevel } from './flags.ts';

export type Log = Record<LogLevel, (details: object, message: string) => void>;

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/**
 * A JSON log to standard error: standard output is for what a command answers. pino is loaded with the
 * first line, since a quiet sidecar does without its 6 MB; lines keep their order meanwhile.
 */
export function createLog(level: LogLevel): Log {
  const least = LEVELS.indexOf(level);
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
      logger = pino(
        { level, base: null, timestamp: stdTimeFunctions.isoTime },
        destination({ fd: 2, sync: true }),
      );
      for (const one of waiting ?? []) one(logger);
      waiting = undefined;
    });
  };
  const at = (one: LogLevel) => (details: object, message: string) => {
    if (LEVELS.indexOf(one) >= least) write((ready) => ready[one](details, message));
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
