import type { Aggregate } from './aggregate.js'

type Mean = [sum: number, count: number]

/** The mean of a number of each record; undefined while there is none. */
export function avg<V>(of: (value: V) => number): Aggregate<V, Mean, number | undefined> {
  return {
    init: () => [0, 0],
    add: (mean, value) => {
      mean[0] += of(value)
      mean[1]++
      return mean
    },
    merge: (mean, other) => {
      mean[0] += other[0]
      mean[1] += other[1]
      return mean
    },
    result: ([sum, count]) => (count === 0 ? undefined : sum / count),
  }
}
