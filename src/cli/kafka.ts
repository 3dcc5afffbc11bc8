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

/** Runs something that ends early where somebody wants it to, and tells by which signal. */
export async function untilSignal<T>(
  { signals$ }: Io,
  run: (signal: () => Signal | undefined) => Promise<T>,
): Promise<T> {
  let signal: Signal | undefined
  const heard = signals$.subscribe((one) => {
    signal ??= one
  })
  try {
    return await run(() => signal)
  } finally {
    heard.unsubscribe()
  }
}
