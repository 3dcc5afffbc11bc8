import pg, { type DatabaseError } from 'pg'
import type { Fault } from '../model/index.js'
import { Faults } from '../sql/index.js'

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

const setupHints: Readonly<Record<string, string | undefined>> = {
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
    const { code = '' } = error
    return faults[code] ?? faults[code.slice(0, 3)] ?? faults[code.slice(0, 2)] ?? 'system'
  },
  textOf: (error) => {
    const { message, column, constraint } = error as DatabaseError
    const names = [column && `column ${column}`, constraint && `constraint ${constraint}`].filter(Boolean)
    return `${message}${names.length > 0 ? ` (${names.join(', ')})` : ''}`
  },
  hintOf: (error) => {
    const { code = '', hint } = error as DatabaseError
    return setupHints[code] ?? hint
  },
})
