import { bytesOf, headerOf, type Key, type Position, place } from '../../model/index.js'
import type { LetterMessage } from '../../state/letter-protocol/index.js'
import type { PlacedInput } from './inputs.js'
import type { LoggedInput } from './models.js'
import type { World } from './world.js'

/** How the records of the input are found again in what comes out. */
export interface Accounting<In = never> {
  /** Tells a record from the others. Undefined: it need not be found, and has to be no dead letter. */
  readonly idOf: (value: In) => string | undefined
  /** The records that a value which was written is made of. */
  readonly idsOf: (output: never) => readonly string[]
  /** Of windows: which records belong together, and of which window a value is. Each group has one result a window. */
  readonly groups?: {
    readonly of: (value: In, input: LoggedInput<In>) => string
    readonly window: (output: never) => string
  }
}

interface Written {
  readonly id: string
  readonly bytes: unknown
  readonly key: Key
  readonly timestamp: number
  /** Tells the topic from others of its name. */
  readonly topicId: string | undefined
}

/**
 * Each record is in the results or in the dead letters, as itself: never in both, never in neither. What was deleted before
 * it was read, or was lost by the brokers, need not be; what is told to be lost has to be that.
 */
export class Accounts {
  /** By place. Topics of one name have the same places. */
  private readonly written = new Map<string, Written[]>()
  private readonly groups = new Map<string, string>()
  private readonly windows = new Set<string>()
  private readonly open: Set<string>
  private readonly results = new Set<string>()
  private readonly letters = new Set<string>()
  /** Which may count again, for it was said to read all again. */
  private readonly again = new Set<string>()

  constructor(
    private readonly world: World,
    private readonly accounting: Accounting,
    input: readonly PlacedInput[],
  ) {
    for (const { logged } of input) {
      const id = accounting.idOf(logged.value)
      if (id === undefined) continue
      this.groups.set(id, accounting.groups?.of(logged.value, logged) ?? '')
    }
    this.open = new Set(this.groups.keys())
  }

  /** A record of the input is in its topic. */
  wrote({ logged, bytes }: PlacedInput, at: Position, topicId: string | undefined): void {
    const id = this.accounting.idOf(logged.value)
    if (id === undefined) return
    const { key, timestamp } = logged
    this.written.set(place(at), [...(this.written.get(place(at)) ?? []), { id, bytes, key, timestamp, topicId }])
  }

  /** Nobody has to find these any more. */
  excuse(from: Position, to: number, topicId: string | undefined): void {
    for (const id of this.between(from, to, topicId)) this.open.delete(id)
  }

  /** Nobody has to find again what was in a topic. */
  excuseTopic(topicId: string): void {
    for (const all of this.written.values())
      for (const one of all) if (one.topicId === topicId) this.open.delete(one.id)
  }

  /** These may count once more. */
  repeat(from: Position, to: number, topicId: string | undefined): void {
    for (const id of this.between(from, to, topicId)) this.again.add(id)
  }

  counted(output: unknown, once: boolean): void {
    const ids = this.accounting.idsOf(output as never)
    this.tellApart(ids, output as never, once)
    for (const id of ids) {
      this.open.delete(id)
      if (once && this.results.has(id) && !this.again.has(id))
        this.world.breaks(`each record counts once: ${id} counts again`)
      this.results.add(id)
      this.compare(id)
    }
  }

  lettered(letter: LetterMessage): void {
    const at = letterPlace(letter)
    const known = this.written.get(at)?.find((written) => isOf(letter, written))
    if (known === undefined) return this.world.breaks(`a dead letter is the record that was refused: ${at} is not`)
    const { id } = known
    this.open.delete(id)
    this.letters.add(id)
    this.compare(id)
  }

  /** What is in neither. */
  missing(): string[] {
    return [...this.open].map((id) => `${id} is nowhere`)
  }

  private *between({ topic, partition, offset }: Position, to: number, topicId: string | undefined): Generator<string> {
    for (let at = offset; at < to; at++)
      for (const one of this.written.get(place({ topic, partition, offset: at })) ?? [])
        if (one.topicId === topicId) yield one.id
  }

  private tellApart(ids: readonly string[], output: never, once: boolean): void {
    const { groups } = this.accounting
    if (groups === undefined) return
    const [group, other] = [...new Set(ids.map((id) => this.groups.get(id)))]
    if (other !== undefined) this.world.breaks(`groups are told apart: ${group} and ${other} have one result`)
    const name = `${groups.window(output)} of ${group}`
    if (once && this.windows.has(name)) this.world.breaks(`each group has one result a window: ${name} has two`)
    this.windows.add(name)
  }

  private compare(id: string): void {
    if (this.results.has(id) && this.letters.has(id) && !this.again.has(id))
      this.world.breaks(`no record is in the results and in the dead letters: ${id} is in both`)
  }
}

/** Where the record of a dead letter lies, as its headers say. */
export function letterPlace({ headers }: LetterMessage): string {
  const [topic = '', partition, offset] = ['topic', 'partition', 'offset'].map((name) =>
    headerOf(headers, `__connect.errors.${name}`),
  )
  return place({ topic, partition: Number(partition), offset: Number(offset) })
}

/** Whether a dead letter is this record, or as much of it as it says. */
function isOf(letter: LetterMessage, { bytes, key, timestamp }: Written): boolean {
  const { headers } = letter
  const cuts = headerOf(headers, 'weir.cut')?.split(',') ?? []
  const isCut = (what: string) => cuts.includes(what)
  // What JSON does not have is described.
  const value = isCut('form') ? letter.value : bytesOf(bytes)
  const given = key ?? (isCut('key') ? letterPlace(letter) : null)
  const said = isCut('timestamp') ? Number(headerOf(headers, 'weir.timestamp')) : letter.timestamp
  const isSized = cuts.length === 0 || headerOf(headers, 'weir.value.bytes') === String(value?.length ?? 0)
  return (
    isSized &&
    said === timestamp &&
    isPart(letter.value, value, isCut('value')) &&
    isPart(bytesOf(letter.key), bytesOf(given), isCut('key') && key !== null)
  )
}

/** Whether it is the whole, or where something is said to be cut off, what comes before that. */
function isPart(part: Buffer | null, whole: Buffer | null, isCut: boolean): boolean {
  if (part === null || whole === null) return part === whole && !isCut
  return isCut === part.length < whole.length && whole.subarray(0, part.length).equals(part)
}
