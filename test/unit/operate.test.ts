import { concat, NEVER, of, Subject, take, throwError } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { operate } from '../../src/model/index.js'

/** Holds everything back until its input ends. */
const holding = operate<number, number>((output) => {
  const held: number[] = []
  return {
    next: (value) => held.push(value),
    complete() {
      for (const value of held) output.next(value)
    },
  }
})

/** All that a subscriber hears of. */
function heard(observable: ReturnType<typeof holding>): (number | string)[] {
  const all: (number | string)[] = []
  observable.subscribe({
    next: (value) => all.push(value),
    error: (error: unknown) => all.push(String(error)),
    complete: () => all.push('end'),
  })
  return all
}

describe('operate', () => {
  test('flushes what is held back, and then completes', () => {
    expect(heard(of(1, 2, 3).pipe(holding))).toEqual([1, 2, 3, 'end'])
    expect(heard(concat(of(1), NEVER).pipe(holding))).toEqual([])
  })

  test('ends quietly when who takes what was held back has had enough', () => {
    const input = new Subject<number>()
    const all = heard(input.pipe(holding, take(2)))
    for (const value of [1, 2, 3]) input.next(value)
    // An error would be thrown at whoever ends the input.
    input.complete()
    expect(all).toEqual([1, 2, 'end'])
  })

  test('makes an error of what a handler throws, in next and at the end', () => {
    const failing = operate<number, number>((output) => ({
      next(value) {
        if (value === 2) throw new Error('of next')
        output.next(value)
      },
      complete() {
        throw new Error('of the end')
      },
    }))
    expect(heard(of(1, 2, 3).pipe(failing))).toEqual([1, 'Error: of next'])
    expect(heard(of(1, 3).pipe(failing))).toEqual([1, 3, 'Error: of the end'])
    expect(heard(throwError(() => new Error('of the input')).pipe(failing))).toEqual(['Error: of the input'])
  })
})
