import pg, { type DatabaseError } from 'pg'
import type { Fault } from '../model/index.js'
import { Faults } from '../sql/index.js'

/** By SQLSTATE or its class; the longer one decides. */
const faults: Readonly<Record<string, Fault | undefined>> = {
  '08': 'connection',
  // What triggers, and functions that they call, ran into with this row.
  '09': 'record',
  '20': 'record',
  // Repeated keys in one upsert, as the database compares them: halving tells them apart.
  '21': 'record',
  '22': 'record',
  '23': 'record',
  // A server that turned into a standby: a new connection may lead to the new primary.
  '25006': 'connection',
  '27': 'record',
  '28': 'setup',
  '2F': 'record',
  '38': 'record',
  '39': 'record',
  '3D': 'setup',
  '3F': 'setup',
  '42': 'setup',
  // Types that don't fit, found only when the value was there.
  '42804': 'record',
  '42846': 'record',
  // A value for a column that takes none.
  '428C9': 'record',
  // A view's check option.
  '44': 'record',
  // A value too large for an index or a row.
  '54': 'record',
  '57P': 'connection',
  // A trigger said no.
  P0: 'record',
}

/** What the server answers by itself, and is not in the table above: trouble of its own. */
const system: readonly string[] = [
  '0A',
  '0B',
  '0F',
  '24',
  '25',
  '26',
  '2B',
  '2D',
  '34',
  '3B',
  '40',
  '53',
  '55',
  '57',
  '58',
  '72',
  'F0',
  'HV',
  'XX',
]

/** By a code, its first three characters or its class. The server has no other classes: a trigger made that one up. */
function faultOf(code: string): Fault {
  const kind = code.slice(0, 2)
  return faults[code] ?? faults[code.slice(0, 3)] ?? faults[kind] ?? (system.includes(kind) ? 'system' : 'record')
}

/**
 * Whether what has the code of a wrong statement, or of a right that this user lacks, is about one row: a policy of the table
 * refuses it, or a trigger has come to what it can't do.
 */
function isOfRow({ code = '', routine, where = '' }: DatabaseError): boolean {
  if (!code.startsWith('42')) return false
  return routine === 'ExecWithCheckOptions' || (where !== '' && !ofStatement.test(where))
}

/** What a server adds of itself, in whichever language: a line of a COPY, or a parameter of ours (PostgreSQL 14 and later). */
const ofStatement = /^(COPY|[^\n"«»]*\$\d+ = )/

/** Other parameters than the statement has: the server's own word for it is that of a client who does not speak as it does. */
function isOfParameters({ code, routine }: DatabaseError): boolean {
  return code === '08P01' && routine === 'exec_bind_message'
}

const hints: Readonly<Record<string, string | undefined>> = {
  '25006': 'This server is a standby, or read-only: it is tried again, on a new connection.',
  '53100': 'A disk of the server is full. It is tried again.',
  '42P01': 'Create the table, or give the sink `create`.',
  '42703': 'Add the column, or leave it out of what `row` returns.',
  '42P10': 'An upsert needs a unique index on exactly the columns of `key`.',
  '42501': 'Grant the right to this user.',
  '28P01': 'Check user and password.',
  '28000': 'Check user, password and pg_hba.conf.',
  '3D000': 'Create the database, or correct its name.',
}

/** PostgreSQL's own errors. */
export const postgresFaults = new Faults({
  faultOf: (error) => {
    if (!(error instanceof pg.DatabaseError)) return undefined
    return isOfRow(error) || isOfParameters(error) ? 'record' : faultOf(error.code ?? '')
  },
  textOf: (error) => {
    const { message, column, constraint } = error as DatabaseError
    const names = [column && `column ${column}`, constraint && `constraint ${constraint}`].filter(Boolean)
    return `${message}${names.length > 0 ? ` (${names.join(', ')})` : ''}`
  },
  hintOf: (error) => {
    const { code = '', hint } = error as DatabaseError
    return hints[code] ?? hint
  },
})
