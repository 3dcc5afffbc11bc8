import type { StreamRecord } from '../model/index.js'
import type { KeyType, Operation, Word } from './writes.js'

/** How many parts of a key share a command: Lua can hand no more than some thousands of words to one. */
const partsPerCommand = 500

/** A command that writes: its first key, as clusters ask for it, and all its words. */
export interface RedisCommand {
  readonly key: string
  readonly words: readonly Word[]
  /** What the key has to hold, if it holds anything. */
  readonly type?: KeyType | undefined
}

/** A command, and the records that asked for it. */
export interface PlannedCommand extends RedisCommand {
  readonly records: readonly StreamRecord[]
}

/** Operations that are carried out together: of those on one part of a key the last counts, and what can shares a command. */
export class WritePlan {
  private readonly operations = new Map<string | number, Operation>()

  add(operation: Operation): void {
    const id = idOf(operation) ?? this.operations.size
    const earlier = this.operations.get(id)
    if (earlier === undefined) {
      this.operations.set(id, operation)
      return
    }
    // At the place of the later one: what came between may have been about the whole key.
    this.operations.delete(id)
    this.operations.set(id, { ...operation, records: [...earlier.records, ...operation.records] })
  }

  /** In an order that comes to the same as that of the operations. */
  commands(): readonly PlannedCommand[] {
    const commands: CommandDraft[] = []
    const open = new Map<string, CommandDraft>()
    for (const operation of this.operations.values()) {
      const name = `${operation.verb} ${operation.key}`
      const draft = open.get(name)
      if (draft !== undefined && operation.part !== undefined && draft.parts < partsPerCommand) {
        draft.take(operation)
        continue
      }
      const begun = new CommandDraft(operation)
      commands.push(begun)
      if (operation.part !== undefined) open.set(name, begun)
      else for (const verb of ['hset', 'hdel', 'zadd', 'zrem']) open.delete(`${verb} ${operation.key}`)
    }
    return commands
  }
}

class CommandDraft implements PlannedCommand {
  readonly key: string
  readonly type: KeyType | undefined
  readonly words: Word[]
  readonly records: StreamRecord[]
  parts = 1

  constructor({ verb, key, type, words, records }: Operation) {
    this.key = key
    this.type = type
    this.words = [verb, key, ...words]
    this.records = [...records]
  }

  take({ words, records }: Operation): void {
    this.parts++
    for (const word of words) this.words.push(word)
    for (const record of records) this.records.push(record)
  }
}

/** What an operation replaces; undefined when that is nothing. */
function idOf({ verb, key, type, part }: Operation): string | undefined {
  if (verb === 'xadd') return undefined
  return JSON.stringify(part === undefined ? [key] : [key, type, part])
}
