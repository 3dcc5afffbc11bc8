import type { RedisClient } from './connection.js'
import type { Operation } from './writes.js'

/**
 * What keys hold, as it will be once the operations that were admitted are carried out. A script ends at a command that
 * its key does not take, with what came before already written: so that is known before.
 */
export class KeyTypes {
  private readonly types = new Map<string, string>()

  /** Asks the server about the keys that are not known yet. */
  async learn(client: RedisClient, operations: readonly Operation[]): Promise<void> {
    const unknown = [...new Set(operations.filter(({ type }) => type !== undefined).map(({ key }) => key))].filter(
      (key) => !this.types.has(key),
    )
    const types = await Promise.all(unknown.map((key) => client.type(key)))
    for (const [index, key] of unknown.entries()) this.types.set(key, types[index] ?? 'none')
  }

  /** What the key holds that does not take this operation; undefined when it is taken, and will be carried out. */
  admit({ verb, key, type }: Operation): string | undefined {
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
