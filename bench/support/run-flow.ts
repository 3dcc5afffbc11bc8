import type { WeirConfig } from 'weirflow'
import { engineOf } from './engine.js'

/**
 * Runs a configuration in this process until that many records are committed, and what they were to bring is out. Returns
 * the ms since the first one came, as the loops measure: an epoch has begun long before, when the group is still being
 * joined.
 */
export function runFlow(config: WeirConfig, records: number, isOut: () => boolean = () => true): Promise<number> {
  return new Promise((resolve, reject) => {
    let committed = 0
    /** When there was still nothing. */
    let began = 0
    const engine = engineOf(config, {
      epoch({ flow, part, records: some }) {
        // What is behind an internal topic counts its messages, not the records that were asked for.
        if (part === flow) committed += some
        if (committed >= records && isOut()) resolve(performance.now() - began)
      },
    })
    const looking = setInterval(() => {
      const isReading = engine.status().some(({ stages }) => stages.some((stage) => stage.out > 0))
      if (isReading) clearInterval(looking)
      else began = performance.now()
    }, 1)
    engine.run().subscribe({ error: reject, complete: () => reject(new Error('the flow ended')) })
  })
}
