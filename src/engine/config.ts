import type { DeclaredConnection } from '../model/index.js'
import type { Flow } from './flow.js'

/** What `flows.config.ts` exports. */
export interface WeirConfig {
  /** Prefixes group names, internal topics and checkpoint keys. Default: `WEIR_APP`, or `weir`. */
  readonly app?: string
  readonly connections?: Readonly<Record<string, DeclaredConnection>>
  /** The connection that keeps positions and stores, or `memory`; a flow may choose its own. Default: `memory`. */
  readonly checkpoints?: string
  /** The connection for dead letters. Default: the one of the flow's source, or the only one that can. */
  readonly deadLetters?: string
  readonly flows: Readonly<Record<string, Flow>>
}
