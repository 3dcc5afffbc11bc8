import type { ClientBase } from 'pg'
import { catchError, EMPTY, ignoreElements, type Observable, throwError } from 'rxjs'
import type { AuditEvent, AuditLog } from '../model/index.js'
import type { PostgresConnection } from './connection.js'
import { createOnce } from './create-once.js'
import { quoted, quotedTable } from './identifiers.js'

const columns = {
  event_id: 'text primary key',
  occurred_at: 'timestamptz not null',
  source: 'text not null',
  action: 'text not null',
  subject: 'text not null',
  actor: 'text',
  through: 'text',
  address: 'text',
  correlation_id: 'text not null',
  phase: 'text',
  outcome: 'text',
  data: 'jsonb not null',
}

/** Audit events in a table, each once: one that is written again is there already. */
export class PostgresAuditLog implements AuditLog {
  readonly address: string
  private readonly doing: string

  constructor(
    private readonly connection: PostgresConnection,
    /** `table` or `schema.table` */
    private readonly table: string,
  ) {
    this.address = `table ${table} of ${connection.address}`
    this.doing = `writing the audit to table ${table}`
  }

  open(): Observable<never> {
    const table = quotedTable(this.table)
    return this.run((client) => createOnce(client, this.script(), table))
  }

  write(events: readonly AuditEvent[]): Observable<never> {
    const names = Object.keys(columns)
    const typed = Object.entries(columns).map(([name, type]) => `${name} ${type.split(' ')[0]}`)
    const text = `insert into ${quotedTable(this.table)} (${names.join(', ')})
      select ${names.join(', ')} from jsonb_to_recordset($1::jsonb) as event(${typed.join(', ')})
      on conflict (event_id) do nothing`
    return this.run((client) => client.query(text, [JSON.stringify(events.map(rowOf))]))
  }

  close(): Observable<never> {
    return EMPTY
  }

  private run(work: (client: ClientBase) => Promise<unknown>): Observable<never> {
    const { faults } = this.connection
    return this.connection.run(work).pipe(
      ignoreElements(),
      catchError((error: unknown) =>
        throwError(() => faults.as(error, this.doing, 'WEIR_SINK_UNREACHABLE', 'WEIR_SINK_FAILED')),
      ),
    )
  }

  private script(): string {
    const table = quotedTable(this.table)
    const [name = '', schema] = this.table.split('.').reverse()
    const list = Object.entries(columns).map(([column, type]) => `${column} ${type}`)
    const index = (column: string) => `create index ${quoted(`${name}_${column}`)} on ${table} (${column});`
    return `${schema === undefined ? '' : `do $$ begin if to_regnamespace('${schema}') is null then create schema ${quoted(schema)}; end if; end $$;`}
      create table ${table} (${list.join(', ')}, created_at timestamptz not null default now());
      ${index('occurred_at')} ${index('correlation_id')}`
  }
}

function rowOf({ id, time, source, action, subject, actor, correlationId, phase, outcome, data }: AuditEvent) {
  return {
    event_id: id,
    occurred_at: new Date(time).toISOString(),
    source,
    action,
    subject,
    actor: actor.name,
    through: actor.through,
    address: actor.address,
    correlation_id: correlationId,
    phase,
    outcome,
    data,
  }
}
