import { z } from 'zod'
import {
  asWeirError,
  type Configurable,
  defineOperator,
  fn,
  type GroupKey,
  type Key,
  type Operator,
  operate,
  type StreamRecord,
} from '../model/index.js'
import { type RejectingStage, rejectingStage } from './internal/stage-options.js'

type KeyOf<V> = (value: V, record: StreamRecord<V>) => GroupKey | undefined

export const keyByDefinition = defineOperator({
  name: 'keyBy',
  summary: 'Gives each record another key.',
  rekeys: true,
  onError: 'fail',
  options: z.strictObject({
    key: fn<KeyOf<unknown>>().describe('The key, as a function of the value and its record.'),
    ...rejectingStage,
  }),
  build: ({ key: keyOf }, context) =>
    operate<StreamRecord, StreamRecord>((output) => ({
      next(record) {
        let key: Key
        try {
          key = asKey(keyOf(record.value, record))
        } catch (error) {
          return context.reject(record, asWeirError(error, 'WEIR_STAGE_FAILED'))
        }
        output.next(record.keyed(key))
      },
    })),
})

/**
 * Gives each record another key (undefined is none): the one that a sink writes it under, and that an `aggregate` groups by. Records of a
 * key meet in one place before a stage that keeps state: there the flow goes through an internal topic,
 * `<app>.<flow>.<stage>.repartition`.
 */
export function keyBy<V>(key: KeyOf<V>, options: Configurable<RejectingStage> = {}): Operator<V, V> {
  return keyByDefinition.declare({ ...options, key })
}

function asKey(key: GroupKey | undefined): Key {
  if (typeof key === 'string' || Buffer.isBuffer(key)) return key
  if (typeof key === 'number') return String(key)
  if (key === null || key === undefined) return null
  throw new TypeError(`a key is text, a number, a Buffer or null: this is ${typeof key}`)
}
