/** Writes one entry: fields first, then a constant message (pino's order). */
export interface LogMethod {
  (fields: object, message: string): void;
  (message: string): void;
}

/** Where Longshore writes what it does. A pino logger fits as it is; silence is the default. */
export interface Logger {
  readonly trace: LogMethod;
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  /** A logger that adds these fields to each entry. */
  child(fields: Record<string, unknown>): Logger;
}

const ignore = (): void => {};

/** Writes nothing. */
export const silentLogger: Logger = {
  trace: ignore,
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  child: () => silentLogger,
};
