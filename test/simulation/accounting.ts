import type { Windowed } from '../../src/index.js'
import type { Accounting } from '../../src/testing/index.js'
import type { Visit } from './visits.js'

const idOf = ({ id }: Pick<Visit, 'id'>) => `visit ${id}`

/** Windows list the visits that they are made of. */
export const inWindows: Accounting<Visit> = {
  idOf,
  idsOf: ({ value }: Windowed<{ ids: number[] }>) => value.ids.map((id) => idOf({ id })),
}

/** Each visit is a row. */
export const inRows: Accounting<Visit> = { idOf, idsOf: (visit: Visit) => [idOf(visit)] }
