import { Subscription } from 'rxjs'
import type { Engine } from '../engine/index.js'
import type { KafkaConnection } from '../kafka/connection.js'
import { type Io, type Signal, UsageError } from './io.js'
import type { Prepared } from './prepare.js'
import { thereIs } from './progress.js'

/** The name of the Kafka connection that is meant. Errors: `UsageError` where that is not known. */
export function kafkaName(asked: string | undefined, { topology }: Prepared): string {
  const names = [...topology.connections].filter(([, { definition }]) => definition.kind === 'kafka')
  const known = names.map(([name]) => name)
  const name = asked ?? (known.length === 1 ? known[0] : undefined)
  if (name !== undefined && known.includes(name)) return name
  throw new UsageError(`which Kafka? ${thereIs('connection', known)}: name one with --connection`)
}

export function kafkaOf(engine: Engine, name: string): KafkaConnection {
  return engine.connection(name) as KafkaConnection
}

/** The same where it has what other processes have written. Errors: `UsageError` for an embedded broker. */
export function lastingKafka(engine: Engine, name: string): KafkaConnection {
  const connection = kafkaOf(engine, name)
  if (!connection.isEmbedded) return connection
  throw new UsageError(
    `connection '${name}' is an embedded broker, which lives and ends with the process that runs the flows: name the brokers of one that stays, or its own address, which is in its log, while it runs`,
  )
}

/** Runs something that ends early where somebody wants it to, and tells by which signal. */
export async function untilSignal<T>(
  { signals$ }: Io,
  run: (signal: () => Signal | undefined, stopped: Promise<Signal>) => Promise<T>,
): Promise<T> {
  let signal: Signal | undefined
  let heard = new Subscription()
  const stopped = new Promise<Signal>((resolve) => {
    heard = signals$.subscribe((one) => {
      signal ??= one
      resolve(one)
    })
  })
  try {
    return await run(() => signal, stopped)
  } finally {
    heard.unsubscribe()
  }
}
