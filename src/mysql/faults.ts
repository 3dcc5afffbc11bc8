import type { Fault } from '../model/index.js'
import { Faults } from '../sql/index.js'

/** An error that the server answered with. */
interface ServerError extends Error {
  readonly errno: number
  readonly sqlState: string
  readonly sqlMessage?: string
}

const errors = {
  accessDenied: 1045,
  duplicateEntry: 1062,
  tableMissing: 1146,
  deadlock: 1213,
  noSuch: 1305,
} as const

/** By error number, where SQLSTATE says too little. */
const faults: Readonly<Record<number, Fault | undefined>> = {
  // A row too large for its table.
  1118: 'record',
  1713: 'record',
  // Too many connections or statements of this user: its limits are counted anew every hour.
  1226: 'system',
  // Data that does not fit, which has no class of its own everywhere.
  1265: 'record',
  1292: 'record',
  // A server that turned into a replica: a new connection may lead to the new primary.
  1290: 'connection',
  1792: 'connection',
  1836: 'connection',
  // Text in broken UTF-8.
  1300: 'record',
  // No default for a column that the row leaves out.
  1364: 'record',
  1366: 'record',
  1411: 'record',
  // A view's check option, no partition for the value, a check.
  1369: 'record',
  1526: 'record',
  1863: 'record',
  3819: 'record',
  // A trigger said no, whatever class it gave that.
  1642: 'record',
  1643: 'record',
  1644: 'record',
  // A trigger wrote to the table that it belongs to, or called itself too often.
  1424: 'record',
  1442: 'record',
  1456: 'record',
  // A value for a column that is computed of others.
  1906: 'record',
  3105: 'record',
  // Rights, variables.
  1193: 'setup',
  1227: 'setup',
  1231: 'setup',
}

/** By SQLSTATE's class. */
const classes: Readonly<Record<string, Fault | undefined>> = {
  '08': 'connection',
  '21': 'record',
  '22': 'record',
  '23': 'record',
  '28': 'setup',
  '3D': 'setup',
  '42': 'setup',
}

/** What the server answers by itself, and is not in the table above. It has no other classes: a trigger made that one up. */
const system: readonly string[] = ['01', '07', '0A', '25', '26', '35', '40', '70', 'HY', 'S1', 'XA']

function faultOf({ errno, sqlState, message }: ServerError): Fault {
  // The savepoint is gone, and so is the transaction that had it; or it is a function of a trigger's that is.
  if (errno === errors.noSuch) return /^SAVEPOINT /.test(message) ? 'connection' : 'setup'
  const kind = sqlState.slice(0, 2)
  return faults[errno] ?? classes[kind] ?? (system.includes(kind) ? 'system' : 'record')
}

const hints: Readonly<Record<number, string | undefined>> = {
  [errors.tableMissing]: 'Create the table, or give the sink `create`.',
  [errors.accessDenied]: 'Check user and password.',
  1044: 'Grant the right to this user, or correct the name of the database.',
  1049: 'Create the database, or correct its name.',
  1142: 'Grant the right to this user.',
  1449: 'Create that user, or define the trigger, view or function as another. It is tried again.',
  1698: 'Check user and password.',
}

/** MySQL's and MariaDB's own errors. */
export const mysqlFaults = new Faults({
  faultOf: (error) => (isServerError(error) ? faultOf(error) : undefined),
  textOf: (error) => (error as ServerError).sqlMessage ?? (error as ServerError).message,
  hintOf: (error) => hints[(error as ServerError).errno],
})

export function isMissingTable(error: unknown): boolean {
  return isServerError(error) && error.errno === errors.tableMissing
}

/**
 * What has the code of a wrong statement, or of a right that this user lacks, and can only have come to a trigger, or a function
 * that it calls: of a table that was just found to be right.
 */
const ofTriggers: readonly number[] = [errors.noSuch, errors.tableMissing, 1054, 1109, 1142, 1143, 1172, 1370]

/** Whether it is about what a trigger did with a row of the table, which has all that the statement names. */
export function isOfTrigger(error: unknown, table: string): boolean {
  if (!isServerError(error) || !ofTriggers.includes(error.errno)) return false
  const name = table.slice(table.lastIndexOf('.') + 1)
  return ![...error.message.matchAll(/[`'.]([^`'.]+)[`']/g)].some(([, named]) => named === name)
}

/** The server has undone the transaction of this error altogether, so that another can go on. */
export function isDeadlock(error: unknown): boolean {
  return isServerError(error) && error.errno === errors.deadlock
}

function isServerError(error: unknown): error is ServerError {
  if (!(error instanceof Error)) return false
  const { errno, sqlState } = error as Partial<ServerError>
  return typeof errno === 'number' && errno > 0 && typeof sqlState === 'string' && sqlState.length === 5
}
