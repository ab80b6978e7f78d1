import { destination, type Logger, pino } from 'pino';

/** A JSON log to standard error: standard output is for what a command answers. */
export function createLog(level: string): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination({ fd: 2, sync: true }));
}
