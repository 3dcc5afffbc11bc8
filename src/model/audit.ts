import type { Observable } from 'rxjs'

/** Who did something, as far as that is known. */
export interface Actor {
  /** A user of a machine, `ann@host`; of a caller, the name of its token. */
  readonly name?: string | undefined
  /** Who did it in that one's name. */
  readonly through?: string | undefined
  /** Where a caller called from. */
  readonly address?: string | undefined
}

/** What somebody did. Nothing of it may be a part of a record, or secret. */
export interface AuditEvent {
  /** Unique: an event that is written again is known by it. */
  readonly id: string
  /** ms. */
  readonly time: number
  /** `weir/<app>` */
  readonly source: string
  /** `dlq.replay` */
  readonly action: string
  /** What it is about: a topic, a group, a flow, a route. */
  readonly subject: string
  readonly correlationId: string
  readonly actor: Actor
  /** Of a deed that is told before it is done, and when it has ended. */
  readonly phase?: 'began' | 'ended' | undefined
  readonly outcome?: string | undefined
  /** All else, as JSON. */
  readonly data: Readonly<Record<string, unknown>>
}

/** Where audit events are kept. */
export interface AuditLog {
  /** For people. */
  readonly address: string
  /** Completes when there is something to write to. */
  open(): Observable<never>
  /** Completes when all of them are there for good. Errors leave it open whether some are. */
  write(events: readonly AuditEvent[]): Observable<never>
  /** What was open may be opened again. */
  close(): Observable<never>
}
