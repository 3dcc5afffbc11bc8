import { WeirError } from '../../model/index.js'
import type { Answer } from './client.js'

/** 4xx that mean "not now". */
const passing = [408, 421, 425, 429]

/**
 * What an answer that is no stream means: `ended` and `refused` are for good, the others are tried again; `foreign` is
 * likely to come from something between here and the server, and is for good only if it stays.
 */
export type Verdict = 'stream' | 'ended' | 'refused' | 'foreign' | 'failing'

export function verdictOf({ status, contentType }: Pick<Answer, 'status' | 'contentType'>): Verdict {
  if (status === 204) return 'ended'
  if (status === 200) return isEventStream(contentType) ? 'stream' : 'foreign'
  if (status >= 400 && status < 500 && !passing.includes(status)) return 'refused'
  return 'failing'
}

/** What to tell of an answer that is no stream. */
export function faultOf(verdict: Exclude<Verdict, 'stream'>, url: string, { status, contentType }: Answer): WeirError {
  const doing = `reading ${url}`
  switch (verdict) {
    case 'ended':
      return new WeirError('WEIR_SOURCE_REFUSED', `${doing}: the server answered 204: the stream is over`, {
        hint: 'Take the flow out of the configuration, or name another stream.',
      })
    case 'refused':
      return new WeirError('WEIR_SOURCE_REFUSED', `${doing}: the server answered ${status}`, {
        hint: 'Check the URL and what the server asks for, then start the flow again: it goes on where it was.',
      })
    case 'foreign':
      return new WeirError('WEIR_SOURCE_UNREACHABLE', `${doing}: the answer is ${contentType ?? 'of no type'}`, {
        hint: 'An event stream is text/event-stream: check the URL, and what is between here and the server.',
      })
    case 'failing':
      return new WeirError('WEIR_SOURCE_UNREACHABLE', `${doing}: the server answered ${status}`)
  }
}

/** The same fault, when it has come so often that it will stay. */
export function lasting(fault: WeirError, times: number): WeirError {
  const { hint, message } = fault
  return new WeirError('WEIR_SOURCE_REFUSED', `${message}, ${times} times in a row`, hint === undefined ? {} : { hint })
}

function isEventStream(contentType: string | undefined): boolean {
  return /^\s*text\/event-stream\s*(;|$)/i.test(contentType ?? '')
}
