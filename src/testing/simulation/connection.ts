import type { Connection } from '../../model/index.js'
import type { SimulatedReader } from './reader.js'
import type { Actor } from './world.js'

/** What a simulated process has in place of its connections. */
export interface SimulatedConnection extends Connection {
  readonly actor: Actor
  /** The readers at work in it. */
  readonly readers: SimulatedReader[]
}
