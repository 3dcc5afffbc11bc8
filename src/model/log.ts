type Write = {
  (fields: object, message: string): void
  (message: string): void
}

/** The part of pino that Weir uses, so that the engine depends on no logger. */
export interface Logger {
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
  child(fields: object): Logger
}

const nothing: Write = () => undefined

/** For tests and for tools that print for themselves. */
export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
}
