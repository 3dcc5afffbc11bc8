/** Ways to sum up records, for `aggregate`. `aggregate.ts` says what one is; `combine.ts` sets several side by side. */
export type { Aggregate } from './aggregate.js'
export { avg } from './avg.js'
export { type CollectOptions, collect } from './collect.js'
export { type Aggregates, combine, type Results } from './combine.js'
export { count } from './count.js'
export { countDistinct } from './count-distinct.js'
export { max, min } from './extremes.js'
export { sum } from './sum.js'
