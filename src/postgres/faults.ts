import pg from 'pg'
import { type ErrorCode, messageOf, type Remedy, WeirError } from '../model/index.js'
import { UnencodableError } from './encode.js'

/**
 * Whose fault an error is:
 * `record` one row can't be written, `setup` nothing will work before somebody mends the database or the configuration,
 * `connection` the connection is of no use any more, `system` anything else: try again.
 */
export type Fault = 'record' | 'setup' | 'connection' | 'system'

/** By SQLSTATE or its class; the longer one decides. */
const faults: Readonly<Record<string, Fault | undefined>> = {
  '08': 'connection',
  // Repeated keys in one upsert, as the database compares them: halving tells them apart.
  '21': 'record',
  '22': 'record',
  '23': 'record',
  // A server that turned into a standby: a new connection may lead to the new primary.
  '25006': 'connection',
  '28': 'setup',
  '3D': 'setup',
  '3F': 'setup',
  '42': 'setup',
  // Types that don't fit, found only when the value was there.
  '42804': 'record',
  '42846': 'record',
  // A view's check option.
  '44': 'record',
  // A value too large for an index or a row.
  '54': 'record',
  '57P': 'connection',
  // A trigger said no.
  P0001: 'record',
}

export function faultOf(error: unknown): Fault {
  if (error instanceof UnencodableError) return 'record'
  // A fault of our own says nothing of the connection.
  if (error instanceof WeirError || error instanceof TypeError || error instanceof RangeError) return 'system'
  if (!(error instanceof pg.DatabaseError)) return 'connection'
  const { code = '' } = error
  return faults[code] ?? faults[code.slice(0, 3)] ?? faults[code.slice(0, 2)] ?? 'system'
}

/** What failed in doing something, as the error that says what to do. `unreachable` is for lost connections. */
export function asFault(error: unknown, doing: string, unreachable: ErrorCode, otherwise: ErrorCode): WeirError {
  if (error instanceof WeirError) return error
  const fault = faultOf(error)
  const code = fault === 'setup' ? 'WEIR_CONFIG_INVALID' : fault === 'connection' ? unreachable : otherwise
  const remedy: Remedy = fault === 'setup' ? 'stop' : 'retry'
  return new WeirError(code, `${doing}: ${faultText(error)}`, { remedy, hint: hintOf(error, fault), cause: error })
}

/** PostgreSQL's own text, with the column and constraint where it knows them. */
export function faultText(error: unknown): string {
  if (error instanceof UnencodableError) return `${error.message} (column ${error.column})`
  if (!(error instanceof pg.DatabaseError)) return messageOf(error)
  const { column, constraint } = error
  const names = [column && `column ${column}`, constraint && `constraint ${constraint}`].filter(Boolean)
  return `${error.message}${names.length > 0 ? ` (${names.join(', ')})` : ''}`
}

const setupHints: Readonly<Record<string, string | undefined>> = {
  '42P01': 'Create the table, or give the sink `create`.',
  '42703': 'Add the column, or leave it out of what `row` returns.',
  '42P10': 'An upsert needs a unique index on exactly the columns of `key`.',
  '42501': 'Grant the right to this user.',
  '28P01': 'Check user and password.',
  '28000': 'Check user, password and pg_hba.conf.',
  '3D000': 'Create the database, or correct its name.',
}

function hintOf(error: unknown, fault: Fault): string {
  if (!(error instanceof pg.DatabaseError)) return 'Check that the database runs and can be reached.'
  const hint = setupHints[error.code ?? ''] ?? error.hint
  if (hint !== undefined) return hint
  return fault === 'setup' ? 'Mend the database or the configuration, then start the flow again.' : 'It is tried again.'
}
