import { EMPTY, type Subscription } from 'rxjs'
import { onTestFinished } from 'vitest'
import { Engine, type EngineParts, type Topology } from '../../src/engine/index.js'
import { silentLogger, systemClock } from '../../src/model/index.js'

/** Runs flows in this process, without a worker around them, until the test has ended, or what `ended` waits for. */
export function runningEngine(
  topology: Topology,
  ended: (stop: () => Promise<void>) => void = onTestFinished,
  more: Partial<EngineParts> = {},
): { readonly engine: Engine; readonly running: Subscription } {
  const engine = new Engine(topology, {
    clock: systemClock,
    log: silentLogger,
    http: { serve: () => EMPTY },
    production: false,
    dataDirectory: '.',
    ...more,
  })
  const running = engine.run().subscribe()
  ended(async () => {
    running.unsubscribe()
    await engine.close()
  })
  return { engine, running }
}
