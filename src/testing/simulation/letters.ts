import { concat, defer, EMPTY, ignoreElements, type Observable, tap } from 'rxjs'
import { type DeadLetter, type DeadLetterSink, WeirError } from '../../model/index.js'
import { type Draft, type LetterMessage, Letters, type Refusal } from '../../state/letter-protocol/index.js'
import type { Judge } from './judge.js'
import type { Link } from './link.js'
import type { Random } from './random.js'
import type { Actor } from './world.js'

/** A text of the machine that it was written on: how long it is must decide nothing. */
const unsized = '__connect.errors.exception.stacktrace'
/** Times at which records are written begin at 0: some of them are too long ago. */
const latestMs = 60_000
/** How many of what is written to a strict topic go in one request. */
const mostAtOnce = 3

/** A topic of dead letters, which need not take everything. */
export class LetterTopic {
  private readonly earliest: number
  private readonly isCompacted: boolean

  constructor(
    private readonly judge: Judge,
    /** How large a message may be, bytes. Without it everything is taken. */
    private readonly most: number | undefined,
    random: Random,
  ) {
    const isStrict = most !== undefined
    this.earliest = isStrict && random.chance(0.3) ? random.between(0, latestMs) : Number.NEGATIVE_INFINITY
    this.isCompacted = isStrict && random.chance(0.3)
  }

  /** How many letters go in one request: some may be refused before the others are known to be written. */
  roomFor(count: number, random: Random): number {
    return this.most === undefined ? count : random.between(1, Math.min(count, mostAtOnce))
  }

  /** Takes a letter, or says what it holds against it. */
  take(who: string, letter: LetterMessage): Refusal | undefined {
    if (sizeOf(letter) > (this.most ?? Number.POSITIVE_INFINITY)) return 'size'
    if (letter.timestamp < this.earliest) return 'timestamp'
    if (letter.key === null && this.isCompacted) return 'key'
    this.judge.lettered(who, letter)
    return undefined
  }
}

interface PostOffice {
  readonly link: Link
  readonly actor: Actor
  readonly judge: Judge
  readonly topic: LetterTopic
}

/** Writes dead letters as the real client does: durable when who wrote them has heard so, or before. */
export class SimulatedLetters implements DeadLetterSink {
  readonly address = 'simulated'
  private readonly letters = new Letters()
  private waiting: Draft[] = []
  /** What the running epoch has rejected. */
  private readonly ofEpoch = new Set<DeadLetter>()

  constructor(private readonly office: PostOffice) {}

  open(): Observable<never> {
    return EMPTY
  }

  write(letter: DeadLetter): void {
    const { judge, actor } = this.office
    const { record, error } = letter
    this.ofEpoch.add(letter)
    this.waiting.push(this.letters.write(letter))
    judge.rejected(record)
    actor.note(`dead letter ${record.origin.topic}-${record.origin.partition}@${record.origin.offset} ${error.code}`)
  }

  flush(): Observable<never> {
    return concat(
      this.send(),
      defer(() => {
        if (this.waiting.length === 0) this.waiting.push(...this.letters.answered())
        if (this.waiting.length > 0) return this.flush()
        this.ofEpoch.clear()
        return EMPTY
      }),
    )
  }

  discard(): void {
    this.waiting = []
    this.letters.forget()
    this.ofEpoch.clear()
  }

  close(): Observable<never> {
    return EMPTY
  }

  private send(): Observable<never> {
    return defer(() => {
      const { link, actor, topic } = this.office
      const drafts = this.waiting.splice(0, topic.roomFor(this.waiting.length, actor.world.random))
      this.check(drafts)
      const messages = drafts.map((draft) => draft.message({ app: 'app', now: actor.clock.now() }))
      const unanswered = (why: string) => new WeirError('WEIR_SINK_FAILED', `writing: ${why}`)
      const what = `flush of ${drafts.length} dead letters`
      const execute = () => messages.map((message) => topic.take(actor.name, message))
      return link
        .request(actor, { what, execute, unanswered, repeatable: true })
        .pipe(tap((answers) => this.refuse(drafts, answers)))
    }).pipe(ignoreElements())
  }

  private refuse(drafts: readonly Draft[], answers: readonly (Refusal | undefined)[]): void {
    for (const [index, draft] of drafts.entries()) {
      const refusal = answers[index]
      if (refusal === undefined) continue
      this.office.actor.note(`a dead letter is refused for its ${refusal}`)
      this.letters.refuse(draft, refusal, new WeirError('WEIR_RECORD_REFUSED', `writing dead letters: its ${refusal}`))
    }
  }

  /** Whose epoch has failed comes again, if need be to somebody else. */
  private check(drafts: readonly Draft[]): void {
    const stray = drafts.find(({ letter }) => !this.ofEpoch.has(letter))
    if (stray === undefined) return
    const { topic, partition, offset } = stray.letter.record.origin
    this.office.judge.strayed(`${topic}-${partition}@${offset}`)
  }
}

function sizeOf({ key, value, headers }: LetterMessage): number {
  let size = (value?.length ?? 0) + (key === null ? 0 : Buffer.byteLength(key))
  for (const header of headers)
    for (const [name, held] of Object.entries(header))
      if (name !== unsized) size += name.length + Buffer.byteLength(held)
  return size
}
