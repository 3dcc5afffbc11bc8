import { type LetterMark, LetterMarks } from '../../kafka/letter-marks.js'
import type { OutgoingMessage } from '../../kafka/producer.js'
import { TransactionWriter } from '../../kafka/transaction-writer.js'
import { type Letter, lettersIn } from './letters.js'
import type { LetterTopic } from './where.js'

/** How many letters, and bytes of values, one transaction has, and how long it may be open, ms: readers wait for its end. */
const [mostLetters, mostBytes, mostMs] = [2_000, 8_388_608, 2_000]

/** How long it is waited for that others see it, ms: it is committed all the same. */
const seenMs = 5_000

/**
 * Marks letters of a topic, each with what is written in its place, in one transaction. Of two that do so at once, the first
 * can't go on; so that none is replayed twice, whatever is killed.
 */
export class Marking {
  /** How many letters are marked for good. */
  committed = 0
  private pending = 0
  private last: { readonly letter: Letter; readonly mark: LetterMark } | undefined
  private bytes = 0
  private begunAt = 0
  private readonly marks: LetterMarks
  private readonly writer: TransactionWriter

  constructor(private readonly letters: LetterTopic) {
    const { connection, topic } = letters
    this.marks = new LetterMarks(connection, topic)
    this.writer = new TransactionWriter(connection, `weir.dlq.${topic}`, `marking letters of topic '${topic}'`)
  }

  /** The letters, and what was done about them until now. Errors: WEIR_SINK_UNREACHABLE, WEIR_SOURCE_UNREACHABLE. */
  async *open(): AsyncGenerator<readonly Letter[]> {
    await this.marks.ensure()
    // Only then nobody else marks any more.
    await this.writer.open()
    await this.marks.read(this.letters.extents)
    yield* lettersIn(this.letters, this.marks)
  }

  /** Errors: WEIR_SINK_FAILED. */
  async mark(letter: Letter, mark: LetterMark, message?: OutgoingMessage): Promise<void> {
    if (this.pending === 0) {
      this.begunAt = performance.now()
      for (const forgotten of this.marks.forgotten()) await this.writer.write(forgotten)
    }
    if (message !== undefined) await this.writer.write(message)
    await this.writer.write(this.marks.mark(letter, mark))
    this.last = { letter, mark }
    this.pending++
    this.bytes += message?.value?.length ?? 0
    const isLate = performance.now() - this.begunAt > mostMs
    if (this.pending >= mostLetters || this.bytes >= mostBytes || isLate) await this.commit()
  }

  /** Errors: WEIR_SINK_FAILED. */
  async commit(): Promise<void> {
    await this.writer.commit()
    this.committed += this.pending
    this.pending = this.bytes = 0
  }

  /** As `commit`, and waits until whoever looks sees it. */
  async end(): Promise<void> {
    await this.commit()
    const { last } = this
    const until = performance.now() + seenMs
    while (last !== undefined && performance.now() < until && !(await this.marks.isSeen(last.letter, last.mark)));
  }

  /** What is not committed has not happened. */
  close(): Promise<void> {
    return this.writer.close()
  }
}
