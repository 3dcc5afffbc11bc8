import { type DeadLetter, WeirError } from '../../model/index.js'
import { Draft, type Refusal } from './draft.js'

/** The dead letters of an epoch on their way: of what the topic refuses, less is tried, until it takes it. */
export class Letters {
  /** What has to be written in another way. */
  private refused: Draft[] = []

  /** How a letter is written first. */
  write(letter: DeadLetter): Draft {
    return new Draft(letter)
  }

  /** A draft was refused, for one of these or for something else. Errors: WEIR_SINK_FAILED, when nothing else can be tried. */
  refuse(draft: Draft, refusal: Refusal | undefined, { message, cause }: WeirError): void {
    const next = draft.next(refusal)
    // There is no place beyond the last one; but it is the topic then, and not the record.
    if (next === undefined) throw new WeirError('WEIR_SINK_FAILED', message, { cause })
    this.refused.push(next)
  }

  /** All that was written is acknowledged or refused: what has to be written now. When that is nothing, all is. */
  answered(): readonly Draft[] {
    return this.refused.splice(0)
  }

  /** The epoch has failed: its records come again. */
  forget(): void {
    this.refused = []
  }
}
