import type { RedisClient } from './connection.js'
import { redisFaults } from './faults.js'
import type { Operation } from './writes.js'

/**
 * What keys hold, as it will be once the operations that were admitted are carried out. A script ends at a command that
 * its key does not take, with what came before already written: so that is known before.
 */
export class KeyTypes {
  private readonly types = new Map<string, string>()
  /** Why the server does not even tell what a key holds. */
  private readonly refused = new Map<string, Error>()

  /** `all` is whether keys are asked about too that are only replaced. */
  constructor(private readonly all = false) {}

  /** Asks the server about the keys that are not known yet. */
  async learn(client: RedisClient, operations: readonly Operation[]): Promise<void> {
    const unknown = [
      ...new Set(operations.filter(({ type }) => this.all || type !== undefined).map(({ key }) => key)),
    ].filter((key) => !this.types.has(key))
    const answers = await Promise.allSettled(unknown.map((key) => client.type(key)))
    for (const [index, key] of unknown.entries()) this.heard(key, answers[index])
  }

  /** Why this operation is not taken; undefined when it is, and will be carried out. */
  admit(operation: Operation): Error | undefined {
    const refusal = this.refused.get(operation.key)
    if (refusal !== undefined) return refusal
    const held = this.unfit(operation)
    return held === undefined ? undefined : new Error(`it holds a ${held}, which takes no ${operation.verb}`)
  }

  private heard(key: string, answer: PromiseSettledResult<string> | undefined): void {
    if (answer?.status !== 'rejected') {
      this.types.set(key, answer?.value ?? 'none')
      return
    }
    if (redisFaults.of(answer.reason) !== 'record') throw answer.reason
    this.refused.set(key, answer.reason as Error)
    this.types.set(key, 'none')
  }

  /** What the key holds that does not take this operation. */
  private unfit({ verb, key, type }: Operation): string | undefined {
    if (type === undefined) {
      this.types.set(key, verb === 'del' ? 'none' : 'string')
      return undefined
    }
    const held = this.types.get(key) ?? 'none'
    if (held !== 'none') return held === type ? undefined : held
    if (verb !== 'hdel' && verb !== 'zrem') this.types.set(key, type)
    return undefined
  }
}
