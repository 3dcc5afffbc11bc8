import { EMPTY } from 'rxjs'
import { compile, Engine, type EngineParts, silentLogger, systemClock, type WeirConfig } from 'weirflow'

/** Runs a configuration in this process until the parent ends it, which drains it and leaves the group. */
export function runMember(config: WeirConfig, observer: NonNullable<EngineParts['observer']>): Engine {
  const engine = new Engine(compile(config, { environment: process.env }), {
    clock: systemClock,
    log: { ...silentLogger, warn: console.error, error: console.error, child: () => silentLogger },
    http: { serve: () => EMPTY },
    production: false,
    dataDirectory: '.weir',
    observer,
  })
  process.once('SIGTERM', () => engine.stop())
  engine.run().subscribe({
    error: (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
    complete: () => void engine.close().then(() => process.exit(0)),
  })
  return engine
}

export function tell(told: object): void {
  if (process.connected) process.send?.(told)
}
