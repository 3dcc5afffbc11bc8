import { tap } from 'rxjs'
import { defineSink, type Sink } from 'weirflow'
import { z } from 'zod'

const definition = defineSink({
  name: 'counting',
  summary: 'Hands every value to a function.',
  options: z.strictObject({ take: z.custom<(value: never) => void>().describe('Takes a value.') }),
  guarantee: () => 'at-least-once',
  build: ({ take }) => ({ write: (records$) => records$.pipe(tap(({ value }) => take(value as never))) }),
})

export function countingSink<T>(take: (value: T) => void): Sink<T> {
  return definition.declare({ take })
}
