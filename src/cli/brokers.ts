import type { Command } from 'commander'
import type { Engine } from '../engine/index.js'
import type { KafkaConnection } from '../kafka/connection.js'
import { kafkaConnection } from '../kafka/definition.js'
import { WeirError } from '../model/index.js'
import { type Io, UsageError } from './io.js'
import { kafkaName, lastingKafka } from './kafka.js'
import { type Prepared, prepare } from './prepare.js'
import { commandContext } from './schema-registry.js'
import { withEngine } from './stored.js'

export interface BrokerOptions {
  readonly config?: string
  /** Which Kafka of the configuration, where it has several. */
  readonly connection?: string
  /** `host:port,…`: then no configuration is read. */
  readonly brokers?: string
}

/** The brokers that a command asks. */
export interface Brokers {
  readonly io: Io
  readonly connection: KafkaConnection
  /** Where a configuration names them, and by what name. */
  readonly configured: { readonly prepared: Prepared; readonly engine: Engine; readonly name: string } | undefined
}

/** Errors: `UsageError`, those of a configuration. */
export async function withBrokers<T>(
  options: BrokerOptions,
  io: Io,
  work: (brokers: Brokers) => Promise<T>,
): Promise<T> {
  if (options.brokers !== undefined) return withNamed(options.brokers, io, work)
  const prepared = await configuration(options, io)
  const name = kafkaName(options.connection, prepared)
  return withEngine(prepared, (engine) =>
    work({ io, connection: lastingKafka(engine, name), configured: { prepared, engine, name } }),
  )
}

async function configuration({ config }: BrokerOptions, io: Io): Promise<Prepared> {
  try {
    return await prepare({ config }, io)
  } catch (error) {
    const isNone = error instanceof WeirError && error.code === 'WEIR_CONFIG_NOT_FOUND' && config === undefined
    if (!isNone || !error.message.startsWith('looking for')) throw error
    throw new UsageError(`which brokers? There is no flows.config.ts here: name them with --brokers host:port`)
  }
}

async function withNamed<T>(brokers: string, io: Io, work: (brokers: Brokers) => Promise<T>): Promise<T> {
  const { data, error } = kafkaConnection.definition.options.safeParse({ brokers })
  if (data === undefined || brokers === 'embedded')
    throw new UsageError(`--brokers: ${error?.issues[0]?.message ?? "expected 'host:port,host:port'"}`)
  const connection = kafkaConnection.definition.open(data, commandContext('kafka', io))
  try {
    return await work({ io, connection, configured: undefined })
  } finally {
    await connection.close()
  }
}

/** The options that say which brokers are meant. */
export function withBrokerOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'the configuration that names the brokers (default: flows.config.ts)')
    .option('--connection <name>', 'its Kafka connection, where there are several')
    .option('--brokers <host:port,…>', 'these brokers, and no configuration')
}
