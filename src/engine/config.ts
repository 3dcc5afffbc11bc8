import type { DeclaredConnection } from '../model/index.js'
import type { Flow } from './flow.js'

/** What `flows.config.ts` exports. */
export interface WeirConfig {
  /** Prefixes group names, internal topics and checkpoint keys. Default: `WEIR_APP`, or `weir`. */
  readonly app?: string
  readonly connections?: Readonly<Record<string, DeclaredConnection>>
  /**
   * What keeps positions and stores: the name of a connection, the kind of the only connection of that kind, or
   * `memory`, the default. `WEIR_CHECKPOINTS`, where it is set, goes before this; a flow's own choice goes before both.
   */
  readonly checkpoints?: string
  /** The connection for dead letters. Default: the one of the flow's source, or the only one that can. */
  readonly deadLetters?: string
  readonly flows: Readonly<Record<string, Flow>>
  /** The flows that run when none is named. Default: all. */
  readonly run?: readonly string[]
  /** Flows that belong together, each list under the name by which `weir start` runs them. */
  readonly systems?: Readonly<Record<string, readonly string[]>>
}
