/** Ways to sum up records, for `aggregate`. `aggregate.ts` says what one is; `combine.ts` sets several side by side. */
export type { Aggregate } from './aggregate.js'
export { avg } from './avg.js'
export { collect, type CollectOptions } from './collect.js'
export { combine, type Aggregates, type Results } from './combine.js'
export { countDistinct } from './count-distinct.js'
export { count } from './count.js'
export { max, min } from './extremes.js'
export { sum } from './sum.js'
