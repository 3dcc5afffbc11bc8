import type { Configurable, DeclaredConnection } from '../model/index.js'
import type { Flow } from './flow.js'

/** The HTTP port of the worker. */
export interface HttpConfig {
  /**
   * Where it listens: an address of this machine, `127.0.0.1` for this machine alone, `0.0.0.0` for all its addresses.
   * Default: `WEIR_HOST`; else all, and with `weir start` this machine alone.
   */
  readonly host?: string
  /** Default: `SERVER_PORT`, or 8080. */
  readonly port?: number
  /** A certificate and its key: PEM, or the paths of files that hold it. Default: `WEIR_TLS_CERT` and `WEIR_TLS_KEY`. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /**
   * What callers have to show, as `authorization: Bearer …`, everywhere but at `/health` and `/ready`. At least 16
   * characters. Default: `WEIR_TOKEN`, or none.
   */
  readonly token?: string
  /** More of them, each under the name by which the audit knows who shows it. */
  readonly tokens?: Readonly<Record<string, string>>
  /**
   * The origins, such as `https://shop.example`, whose pages may call; `*` are all. Pages of others are answered with 403.
   * Default: `WEIR_ORIGINS`, separated by commas, or that of the port itself alone.
   */
  readonly origins?: readonly string[]
  /** How many connections are taken at once. Default 1000. */
  readonly maxConnections?: number
}

/** The audit: a topic or a table. Without either nothing is written down. */
export interface AuditConfig {
  /** It is made where it is missing, and keeps its records for ever. */
  readonly topic?: string
  /** A table of PostgreSQL, such as `pipeline.audit`; it is made where it is missing, and so is its schema. */
  readonly table?: string
  /** The connection, where there are several of its kind. */
  readonly connection?: string
  /** Whether requests that bring records over HTTP are written down too. Default: true. */
  readonly intakes?: boolean
}

/** What `flows.config.ts` exports. */
export interface WeirConfig {
  /** Prefixes group names, internal topics and checkpoint keys. Default: `WEIR_APP`, or `weir`. */
  readonly app?: string
  readonly connections?: Readonly<Record<string, DeclaredConnection>>
  /**
   * What keeps positions and stores: the name of a connection, the kind of the only connection of that kind, or
   * `memory()`. Default: memory, of flows that lose nothing by it. `WEIR_CHECKPOINTS`, where it is set, goes before this; a flow's own choice goes before both.
   */
  readonly checkpoints?: string
  /** The connection for dead letters. Default: the one of the flow's source, or the only one that can. */
  readonly deadLetters?: string
  readonly flows: Readonly<Record<string, Flow>>
  /** The flows that run when none is named. Default: all. */
  readonly run?: readonly string[]
  /** Where the worker's HTTP port listens, and who may call it. The command line goes before this, and this before variables. */
  readonly http?: Configurable<HttpConfig>
  /** Where it is written down who replayed, dropped, moved or wrote what, by hand or over HTTP. Default: nowhere. */
  readonly audit?: Configurable<AuditConfig>
  /** Flows that belong together, each list under the name by which `weir start` runs them. Undefined is no flow. */
  readonly systems?: Readonly<Record<string, readonly Configurable<string | undefined>[]>>
}

/** As `checkpoints`: state and positions end with the process. Written out, it may be so where something is lost by it. */
export function memory(): 'memory' {
  return 'memory'
}
