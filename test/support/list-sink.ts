import { z } from 'zod'
import { defineSink, type Sink } from '../../src/index.js'

const definition = defineSink({
  name: 'list',
  summary: 'Stands where a virtual flow puts a list of its own.',
  options: z.strictObject({}),
  guarantee: () => 'exactly-once',
  build: () => {
    throw new Error('a virtual flow replaces its sinks')
  },
})

/** A sink for flows that are only run in virtual time. */
export function listSink<T>(): Sink<T> {
  return definition.declare({})
}
