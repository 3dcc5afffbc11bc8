/** Errors with a TypeError where what an aggregate is to look at is no function: without types it may be the name of a field. */
export function checkSelector(aggregate: string, of: unknown): void {
  if (typeof of === 'function') return
  const given = typeof of === 'string' ? `'${of}'` : `a ${typeof of}`
  const field = typeof of === 'string' && /^\w+$/.test(of) ? of : 'amount'
  throw new TypeError(`declaring ${aggregate}: expected a function such as (value) => value.${field}, and got ${given}`)
}
