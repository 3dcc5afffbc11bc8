import type { z } from 'zod'
import type { ChannelKind } from './channel.js'
import type { CheckpointStore } from './checkpoint.js'
import type { Clock } from './clock.js'
import type { DeadLetterSink } from './dead-letter.js'
import type { Logger } from './log.js'
import type { Configurable } from './setting.js'
import type { ViewStorage } from './view-storage.js'

export interface ConnectionContext {
  readonly app: string
  /** The name under which the configuration declares it. */
  readonly name: string
  readonly clock: Clock
  readonly log: Logger
  /** Embedded servers are refused here. */
  readonly production: boolean
  /** Where embedded servers may keep files. */
  readonly dataDirectory: string
}

/** An opened connection: what sources, sinks and checkpoint stores of its kind share. */
export interface Connection {
  /** Where it goes, for people: brokers or a URL without its secrets. */
  readonly address: string
  /** Frees all that it holds. Called once, after every task has ended. */
  close(): Promise<void>
}

export interface ConnectionDefinition<Schema extends z.ZodType = z.ZodType, C extends Connection = Connection> {
  /** `kafka`, `postgres`: what stages ask for. */
  readonly kind: string
  readonly summary: string
  readonly options: Schema
  /** Whether these options mean a server inside the process, which is for trying things only. */
  isEmbedded?(options: z.output<Schema>): boolean
  /** Connects to nothing yet: whoever uses the connection does, and retries. */
  open(options: z.output<Schema>, context: ConnectionContext): C
  /** For connections that can keep checkpoints. */
  checkpoints?(connection: C, context: ConnectionContext): CheckpointStore
  /** For connections that can keep views. */
  views?(connection: C, context: ConnectionContext): ViewStorage
  /** Whether the transactions of its checkpoints reach all that sinks of this kind may write to. Default: yes. */
  isJoinable?(options: z.output<Schema>): boolean
  /** For connections that can carry records from one task of a flow to another. */
  readonly channel?: ChannelKind<C>
  /** For connections that can keep dead letters, under this name (a topic). */
  deadLetters?(connection: C, name: string, context: ConnectionContext): DeadLetterSink
}

/** A connection as the configuration declares it. */
export interface DeclaredConnection {
  readonly definition: ConnectionDefinition
  readonly options: unknown
  readonly declaredAt: Error
}

/** Makes the function with which configurations declare a kind of connection. */
export function defineConnection<Schema extends z.ZodType, C extends Connection>(
  definition: ConnectionDefinition<Schema, C>,
): ((options: Configurable<z.input<Schema>>) => DeclaredConnection) & {
  readonly definition: ConnectionDefinition<Schema, C>
} {
  const declare = (options: Configurable<z.input<Schema>>): DeclaredConnection => ({
    definition: definition,
    options,
    declaredAt: new Error('declared here'),
  })
  return Object.assign(declare, { definition })
}
