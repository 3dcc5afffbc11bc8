import { EMPTY } from 'rxjs'
import { Rejections } from '../../src/engine/rejections.js'
import {
  asWeirError,
  type DeadLetter,
  type RejectionPolicy,
  type StreamRecord,
  silentLogger,
} from '../../src/model/index.js'
import type { Rejection } from './sinks.contract.js'

/** Takes care of what a sink rejects as the engine does, and remembers it. */
export class Rejecting {
  readonly rejected: Rejection[] = []
  readonly letters: DeadLetter[] = []
  policy: RejectionPolicy = 'dead-letter'
  private readonly counts = { stage: 'sink', kind: 'sink', in: 0, out: 0, rejected: 0 } as const
  private readonly rejections = new Rejections(
    'items',
    silentLogger,
    {},
    {
      address: 'dead letters',
      open: () => EMPTY,
      write: (letter) => this.letters.push(letter),
      flush: () => EMPTY,
      close: () => EMPTY,
    },
  )

  readonly reject = (record: StreamRecord, error: unknown): void => {
    this.rejected.push({ record, error: asWeirError(error) })
    this.rejections.reject({ ...this.counts }, this.policy, record, error)
  }

  /** As at first, for another test. */
  forget(): void {
    this.rejected.length = 0
    this.letters.length = 0
    this.policy = 'dead-letter'
  }
}
