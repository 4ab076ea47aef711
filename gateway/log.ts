import { pino } from 'pino';
import type { Logger } from 'pino';
import type { LogLevel } from './config.ts';

export type { Logger };

/**
 * Structured JSON lines on standard error; standard output belongs to what the operator asked for.
 * @param worker process id, where several processes share the output
 */
export function createLog(level: LogLevel, worker?: number): Logger {
  return pino(
    {
      level,
      base: worker === undefined ? null : { worker },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.err, error: errorText },
      // A second line of defence: nothing that is logged should hold these in the first place.
      redact: ['*.secretKey', '*.authorization', '*.token', 'secretKey', 'authorization', 'token'],
    },
    pino.destination({ fd: 2, sync: false }),
  );
}

/** What an error says, without where in the program it was made. */
function errorText(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { message } = error;
  return error.cause instanceof Error ? `${message}: ${error.cause.message}` : message;
}
