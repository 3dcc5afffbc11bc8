import { randomUUID } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { lastValueFrom, type Observable } from 'rxjs'
import type { Engine } from '../engine/index.js'
import { type Actor, type Environment, isWeirError } from '../model/index.js'
import { auditLogOf } from './audit/audit-log.js'
import { exitCodes, type Io, UsageError } from './io.js'
import { lastingKafka } from './kafka.js'
import type { Prepared } from './prepare.js'

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
  if (audit.to === 'topic') lastingKafka(engine, audit.connection)
  const log = auditLogOf(audit, engine)
  const { action, subject, asked } = deed
  const correlationId = randomUUID()
  const source = `weir/${prepared.topology.app}`
  const write = (phase: 'began' | 'ended', data: object, outcome?: string) => {
    const actor = actorOf(io.env)
    const common = { source, action, subject, correlationId, actor, phase, outcome }
    return done(log.write([{ ...common, id: randomUUID(), time: Date.now(), data: { ...data } }]))
  }
  let counts: Counts = {}
  try {
    await done(log.open())
    await write('began', { asked })
    const ended = (outcome: string, more: object = {}) => write('ended', { ...more, ...counts }, outcome)
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
    await done(log.close())
  }
}

async function done(work$: Observable<never>): Promise<void> {
  await lastValueFrom(work$, { defaultValue: undefined })
}

/** As the machine says: `ann@host`, and through whom where `sudo` was used. */
function actorOf(env: Environment): Actor {
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
