import { afterEach, describe, expect, test, vi } from 'vitest'
import { Draft, type LetterMessage, Letters } from '../../src/state/letter-protocol/index.js'
import { allDone, busy, firstBroken } from './mutants.js'

/** A draft as it is inside. */
interface DraftInside {
  readonly cuts: number
}

const nowhere = /^everything is done in the end: .* is nowhere/
const another = /^a dead letter is the record that was refused/
const large = /of any size/

/** Changes how letters are written. */
function writing(change: (message: LetterMessage, draft: Draft) => Partial<LetterMessage>): void {
  const { message } = Draft.prototype
  vi.spyOn(Draft.prototype, 'message').mockImplementation(function (this: Draft, writer) {
    const written = message.call(this, writer)
    return { ...written, ...change(written, this) }
  })
}

function without(name: string): void {
  writing(({ headers }) => ({ headers: headers.filter((header) => !(name in header)) }))
}

describe('dead letters that their topic refuses', busy, () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test('a letter that is too large is dropped', () => {
    const { refuse } = Letters.prototype
    vi.spyOn(Letters.prototype, 'refuse').mockImplementation(function (this: Letters, draft, refusal, error) {
      if (refusal !== 'size') refuse.call(this, draft, refusal, error)
    })
    expect(firstBroken(large)).toMatch(nowhere)
  })

  test('what was refused is not written again', () => {
    vi.spyOn(Letters.prototype, 'answered').mockReturnValue([])
    expect(firstBroken(large)).toMatch(nowhere)
  })

  test('a letter is given up after its first cut', () => {
    const { next } = Draft.prototype
    vi.spyOn(Draft.prototype, 'next').mockImplementation(function (this: Draft, refusal) {
      return (this as unknown as DraftInside).cuts > 0 ? undefined : next.call(this, refusal)
    })
    expect(firstBroken(large)).toMatch(allDone)
  })

  test.each(['size', 'timestamp', 'key'] as const)('nothing is tried where the %s is refused', (refused) => {
    const { next } = Draft.prototype
    vi.spyOn(Draft.prototype, 'next').mockImplementation(function (this: Draft, refusal) {
      return refusal === refused ? undefined : next.call(this, refusal)
    })
    expect(firstBroken(large)).toMatch(allDone)
  })

  test('a refusal of one kind forgets those of another', () => {
    vi.spyOn(Draft.prototype, 'next').mockImplementation(function (this: Draft, refusal) {
      const { cuts } = this as unknown as DraftInside
      return new Draft(this.letter, refusal === 'size' ? cuts + 1 : 0, refusal === 'timestamp', refusal === 'key')
    })
    expect(firstBroken(large)).toMatch(/./)
  })

  test.each(['weir.cut', 'weir.value.bytes', 'weir.timestamp', '__connect.errors.offset'])(
    'a letter does not have its %s',
    (name) => {
      without(name)
      expect(firstBroken(large)).toMatch(another)
    },
  )

  test('a letter has the end of what is too large', () => {
    writing(({ value }, { letter }) => {
      const whole = letter.record.origin.value as Buffer
      return { value: value && whole.subarray(whole.length - value.length) }
    })
    expect(firstBroken(large)).toMatch(another)
  })

  test('a letter has another key', () => {
    writing(() => ({ key: 'another' }))
    expect(firstBroken(large)).toMatch(another)
  })

  test('what of an epoch that failed was refused is written by the next', () => {
    vi.spyOn(Letters.prototype, 'forget').mockImplementation(() => undefined)
    expect(firstBroken(large)).toMatch(/^no dead letter outlives its epoch/)
  })
})
