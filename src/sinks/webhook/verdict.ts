import { WeirError } from '../../model/index.js'
import type { Answer } from './post.js'

/** 4xx that mean "not now". */
const passing = [408, 425, 429]

/** `taken` it is, `refused` for what it is; `later` it may be another answer. */
export type Verdict = 'taken' | 'refused' | 'later'

export function verdictOf(status: number): Verdict {
  if (status >= 200 && status < 300) return 'taken'
  return status >= 400 && status < 500 && !passing.includes(status) ? 'refused' : 'later'
}

/** What an answer means that is none of `taken`. */
export function faultOf(doing: string, { status }: Pick<Answer, 'status'>, excerpt: string): WeirError {
  const message = `${doing}: it answered ${status}${excerpt === '' ? '' : `: ${excerpt}`}`
  if (verdictOf(status) === 'refused') return new WeirError('WEIR_RECORD_REFUSED', message)
  if (status >= 300 && status < 400) {
    return new WeirError('WEIR_SINK_FAILED', message, {
      hint: 'No redirect is followed: set `url` to the address that it leads to.',
    })
  }
  return new WeirError('WEIR_SINK_FAILED', message)
}
