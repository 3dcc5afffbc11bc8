import type { Deed } from '../audit.js'
import type { FilterOptions } from './filter.js'
import type { Desk } from './where.js'

/** What is told of a command about letters: which were asked for, and of a key only that one was. */
export function deedOf(
  action: string,
  places: readonly string[],
  options: FilterOptions & { readonly to?: string; readonly transform?: string; readonly again?: boolean },
  { topics }: Pick<Desk, 'topics'>,
): Deed {
  const { flow, stage, code, since, until, key, to, transform, again } = options
  const byKey = key === undefined ? undefined : true
  const subject = topics.map(({ topic }) => topic).join(', ')
  return { action, subject, asked: { places, flow, stage, code, since, until, byKey, to, transform, again } }
}
