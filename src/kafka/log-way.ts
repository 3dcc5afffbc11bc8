import type { Position } from '../model/index.js'
import type { Message } from './client.js'

/** A way of messages from their logs to who reads them, only what is committed. */
export interface LogWay {
  /** By `partitionName`: logs of which all that was committed had been read at some moment since they were assigned. */
  readonly ended: ReadonlySet<string>
  /** Errors: `ClientError` when no broker answers, or one refuses. */
  connect(): Promise<void>
  /** From now on reads there, and nothing else. */
  assign(positions: readonly Position[]): void
  /** What has come meanwhile, at most 500 messages; waits 50 ms for the first. Errors: `ClientError` when it can't go on. */
  poll(): Promise<readonly Message[]>
  close(): Promise<void>
}

/** How many messages are given at once, and how long is waited for the first of them, ms. */
export const [mostMessages, pollMs] = [500, 50]
