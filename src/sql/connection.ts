import type { Observable } from 'rxjs'
import type { Connection } from '../model/index.js'
import type { Faults } from './faults.js'
import type { Lease } from './leases.js'

/** A pool of connections to one database. */
export interface SqlConnection<Client> extends Connection {
  readonly faults: Faults
  /**
   * Whether the server has only one session: work waits for each other's end, so nothing may hold the session for
   * long, nor ask for a second one while it holds it.
   */
  readonly singleSession: boolean
  /**
   * For how long the server lets a transaction lie idle before it ends it, ms; 0 for ever. Who has a transaction open has to
   * be heard of more often: so one whose process sleeps, or is gone with its machine, does not keep others from its rows.
   */
  readonly idleLimitMs: number
  /** Runs work with a client of its own. */
  run<T>(work: (client: Client) => Promise<T>): Observable<T>
  lease(): Promise<Lease<Client>>
}

/** A row as the driver makes it. */
export type SqlRow = Readonly<Record<string, unknown>>

/** How much a query may give. */
export interface ReadLimits {
  readonly maxRows: number
  /** Of all values together, as the server sends them. */
  readonly maxBytes: number
}

/** A connection that can be asked. */
export interface SqlReader extends Connection {
  readonly faults: Faults
  /**
   * The rows of one statement, in a transaction of its own that only reads.
   * Errors: those of the server and the driver, which `faults` sorts; WEIR_QUERY_TOO_LARGE when there are more rows or bytes than
   * they may be; WEIR_CONFIG_INVALID when it writes.
   */
  read(query: string, values: readonly unknown[], limits: ReadLimits): Observable<readonly SqlRow[]>
}
