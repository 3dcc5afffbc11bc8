import { EMPTY } from 'rxjs'
import { compile, Engine, type EngineParts, silentLogger, systemClock, type WeirConfig } from 'weirflow'

/** The engine of a contestant: it says only what has gone wrong. */
export function engineOf(config: WeirConfig, observer: NonNullable<EngineParts['observer']>): Engine {
  return new Engine(compile(config, { environment: process.env }), {
    clock: systemClock,
    log: { ...silentLogger, warn: console.error, error: console.error, child: () => silentLogger },
    http: { serve: () => EMPTY },
    production: false,
    dataDirectory: '.weir',
    observer,
  })
}
