import { randomUUID } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { EventWriter } from '../codecs/cloudevents/index.js'
import type { Engine } from '../engine/index.js'
import { correlationHeader, type Environment, isWeirError } from '../model/index.js'
import { exitCodes, type Io, UsageError } from './io.js'
import { kafkaName, lastingKafka } from './kafka.js'
import type { Prepared } from './prepare.js'
import { RecordWriter } from './record-writer.js'

/** What somebody does. Nothing of it may be a part of a record, or secret. */
export interface Deed {
  /** `dlq.replay` */
  readonly action: string
  /** What it is about: a topic, a group, a flow. */
  readonly subject: string
  readonly asked?: Readonly<Record<string, unknown>>
}

/** What it came to, besides how it ended. */
export type Counts = Readonly<Record<string, number>>

interface Configured {
  readonly prepared: Prepared
  readonly engine: Engine
}

const writer = new EventWriter({ mode: 'structured', data: 'parsed', depth: 100 })

/**
 * Does something, and has it written down where the configuration wants that: before it is done, and how it ended.
 * Errors: WEIR_SINK_UNREACHABLE, WEIR_SINK_FAILED when it can't be written down; then it is not done.
 */
export async function audited(
  configured: Configured | undefined,
  deed: Deed,
  io: Io,
  work: (tell: (counts: Counts) => void) => Promise<number>,
): Promise<number> {
  const audit = configured?.prepared.audit
  if (configured === undefined || audit === undefined) return work(() => undefined)
  const { prepared, engine } = configured
  const connection = lastingKafka(engine, kafkaName(audit.connection, prepared))
  const records = new RecordWriter(connection, audit.topic, (_, error) => {
    throw error
  })
  const id = randomUUID()
  const { action, subject, asked } = deed
  const write = async (data: object) => {
    const time = Date.now()
    const event = {
      specversion: '1.0',
      id: randomUUID(),
      source: `weir/${prepared.topology.app}`,
      type: `weir.audit.${action}`,
      subject,
      time: new Date(time).toISOString(),
      datacontenttype: 'application/json',
      extensions: { correlationid: id },
      data: { actor: actorOf(io.env), ...data },
    }
    const { value, headers } = writer.write(event)
    records.add({ key: id, value, headers: [...headers, { [correlationHeader]: id }], timestamp: time }, 'the event')
    await records.flush()
  }
  let counts: Counts = {}
  try {
    await records.ensureTopic(1, { 'retention.ms': '-1' })
    await records.open()
    await write({ phase: 'began', asked })
    const ended = (outcome: string, more: object = {}) => write({ phase: 'ended', outcome, ...more, ...counts })
    let code: number
    try {
      code = await work((told) => {
        counts = told
      })
    } catch (error) {
      await ended(error instanceof UsageError ? 'refused' : 'failed', isWeirError(error) ? { code: error.code } : {})
      throw error
    }
    await ended(code === exitCodes.ok ? 'done' : code === exitCodes.failed ? 'declined' : 'stopped')
    return code
  } finally {
    await records.close()
  }
}

/** As the machine says: `ann@host`, and through whom where `sudo` was used. */
function actorOf(env: Environment): { readonly name: string; readonly through?: string } {
  const own = userName()
  const before = env['SUDO_USER']
  return before === undefined || before === '' || before === own
    ? { name: `${own}@${hostname()}` }
    : { name: `${before}@${hostname()}`, through: own }
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A container may run as a number that has no name.
    return String(process.getuid?.() ?? 'unknown')
  }
}
