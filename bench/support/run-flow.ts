import { EMPTY } from 'rxjs'
import { compile, Engine, silentLogger, systemClock, type WeirConfig } from 'weirflow'

/** Runs a configuration in this process until that many records are committed. Returns the ms since the first one came. */
export function runFlow(config: WeirConfig, records: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let committed = 0
    let began = 0
    const engine = new Engine(compile(config, { environment: process.env }), {
      clock: systemClock,
      log: { ...silentLogger, warn: console.error, error: console.error, child: () => silentLogger },
      http: { serve: () => EMPTY },
      production: false,
      dataDirectory: '.weir',
      observer: {
        epoch(report) {
          if (report.records > 0 && began === 0) began = performance.now() - report.durationMs
          committed += report.records
          if (committed >= records) resolve(performance.now() - began)
        },
      },
    })
    engine.run().subscribe({ error: reject, complete: () => reject(new Error('the flow ended')) })
  })
}
