import { createHash } from 'node:crypto'
import { place, type StreamRecord } from '../model/index.js'
import { type ClientError, codes } from './client.js'
import type { OutgoingMessage } from './producer.js'

const mostBatchBytes = 1_000_000
const leastBatchBytes = 16_384

/**
 * How the message is found for whose sake a request was refused: brokers refuse requests as a whole, so the next try
 * sends each message alone.
 *
 *   together ──refused──► singly ──written──► together
 *
 * Where none is refused alone, it was the request that was too large, and the next ones are smaller.
 */
export class Search {
  /** Whether each message goes in a request of its own. */
  singly = false
  /** How large a request may become; a larger message goes alone. */
  batchBytes = mostBatchBytes
  private cause: ClientError | undefined
  private hasFound = false

  /** A request was refused. Whether the next try goes another way about it. */
  begin(cause: ClientError): boolean {
    const isNews = !this.singly || this.hasFound
    this.singly = true
    this.cause = cause
    this.hasFound = false
    return isNews
  }

  found(): void {
    this.hasFound = true
  }

  /** All was written, but for what was found. Whether that ends a search. */
  end(foundAny = this.hasFound): boolean {
    if (!this.singly) return false
    if (!foundAny && this.cause?.code === codes.messageTooLarge)
      this.batchBytes = Math.max(leastBatchBytes, this.batchBytes / 4)
    this.singly = false
    this.hasFound = false
    return true
  }
}

/**
 * The same for transactions: what is refused takes the transaction with it, so the one after it leaves out what is known.
 * It is over when one of them commits. A message is known by the record that it was made of, where that was read as it is,
 * and how many of that came before it; else by all that it says.
 */
export class TransactionSearch extends Search {
  private readonly refused = new Map<string, ClientError>()
  private readonly made = new Map<string, number>()

  /** Another transaction begins: the same messages come again. */
  restart(): void {
    this.made.clear()
  }

  /** What a message is known by, in every try of its epoch. */
  idOf(message: OutgoingMessage, { origin }: Pick<StreamRecord, 'origin'>): string {
    if (origin.value === undefined) return digest(message)
    const at = place(origin)
    const before = this.made.get(at) ?? 0
    this.made.set(at, before + 1)
    return `${at} ${before}`
  }

  /** Why brokers have refused this message before, if they have. */
  refusalOf(id: string): ClientError | undefined {
    return this.refused.get(id)
  }

  remember(id: string, error: ClientError): void {
    this.found()
    this.refused.set(id, error)
  }

  override end(): boolean {
    const ended = super.end(this.refused.size > 0)
    this.refused.clear()
    return ended
  }
}

function digest({ topic, partition, key, value, timestamp, headers }: OutgoingMessage): string {
  const hash = createHash('sha256').update(JSON.stringify([topic, partition, timestamp, headers]))
  for (const part of [key, value]) hash.update(part === null ? 'null' : `${part.length} `).update(part ?? '')
  return hash.digest('base64')
}
