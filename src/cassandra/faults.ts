import { type Fault, messageOf } from '../model/index.js'
import { Faults } from '../sql/index.js'

/** An error of the driver's; `code` is that of a node's answer. */
interface DriverError extends Error {
  readonly code?: number
  /** By the node that gave them. */
  readonly innerErrors?: Readonly<Record<string, unknown>>
}

/** By the code of a node's answer; the others are the system's: too few replicas, too much load, a timeout. */
const faults: Readonly<Record<number, Fault | undefined>> = {
  256: 'setup', // bad credentials
  8_192: 'setup', // syntax
  8_448: 'setup', // unauthorized
  8_704: 'record', // invalid
  8_960: 'setup', // configuration
  9_216: 'setup', // already exists
}

const missing =
  /unconfigured table|keyspace .*(does not exist|not found)|unknown (keyspace|identifier)|undefined column/i

const hints: readonly (readonly [RegExp, string])[] = [
  [
    /keyspace .*(does not exist|not found)|unknown keyspace/i,
    'Create the keyspace, or give the connection `replication`.',
  ],
  [/unconfigured table/i, 'Create the table, or give the sink `create`.'],
  [/username|credentials|authenticat/i, 'Check user and password.'],
  [/datacenter/i, 'Correct `localDataCenter` of the connection: `nodetool status` names it.'],
  [/permission|unauthorized/i, 'Grant the right to this user.'],
]

/** Cassandra's errors, and those of its driver. */
export const cassandraFaults = new Faults({
  faultOf: (error) => {
    const cause = causeOf(error)
    if (cause.name === 'AuthenticationError' || cause.name === 'ArgumentError') return 'setup'
    if (cause.name === 'OperationTimedOutError') return 'system'
    if (cause.name !== 'ResponseError') return undefined
    return missing.test(cause.message) ? 'setup' : (faults[cause.code ?? -1] ?? 'system')
  },
  textOf: (error) => causeOf(error).message,
  hintOf: (error) => hints.find(([pattern]) => pattern.test(causeOf(error).message))?.[1],
})

/** What a node answered with, of an error that only says that none of them could help. */
function causeOf(error: unknown): DriverError {
  const given: DriverError = error instanceof Error ? error : new Error(messageOf(error))
  const [inner] = given.name === 'NoHostAvailableError' ? Object.values(given.innerErrors ?? {}) : []
  return inner instanceof Error ? inner : given
}
