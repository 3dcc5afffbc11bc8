import { expect, test } from 'vitest'
import { messageFor } from '../../src/kafka/dead-letters.js'
import { type Header, headerOf, StreamRecord, traceOf, WeirError } from '../../src/model/index.js'
import { messageOf } from '../../src/sinks/kafka/message.js'

const [traceparent, tracestate] = ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'a=1']
const trace = [{ traceparent: Buffer.from(traceparent) }, { tracestate: Buffer.from(tracestate) }]

const recordWith = (headers: readonly Header[]) =>
  new StreamRecord('k', 'v', 1, headers, { topic: 'orders', partition: 0, offset: 7, value: Buffer.from('v'), headers })
const names = (headers: readonly Header[]) => headers.flatMap((header) => Object.keys(header))

test('a record tells its trace, for a column of a table or a log', () => {
  expect(traceOf(recordWith(trace))).toEqual({
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    flags: 1,
    text: traceparent,
    state: 'a=1',
  })
  expect(traceOf(recordWith([{ traceparent: 'none' }]))).toBeUndefined()
  expect(traceOf(recordWith([]))).toBeUndefined()
})

test('the trace goes on through Kafka, with headers of its own making as well', () => {
  const making = { topic: 'bills', headers: () => [{ own: 'x' }] }
  const { headers } = messageOf(making, recordWith(trace))
  expect(names(headers)).toEqual(['own', 'traceparent', 'tracestate', 'weir.correlation-id'])
  expect(headerOf(headers, 'traceparent')).toBe(traceparent)
  expect(names(messageOf({ topic: 'bills' }, recordWith(trace)).headers)).toEqual([
    'traceparent',
    'tracestate',
    'weir.correlation-id',
  ])
})

test('a trace that a function of headers tells is not told twice', () => {
  const own = traceparent.replace(/^00-0a/, '00-1a')
  const { headers } = messageOf({ topic: 'bills', headers: () => [{ traceparent: own }] }, recordWith(trace))
  expect(names(headers)).toEqual(['traceparent', 'weir.correlation-id'])
  expect(headerOf(headers, 'traceparent')).toBe(own)
})

test('a dead letter is a part of the trace of its record', () => {
  const error = new WeirError('WEIR_STAGE_FAILED', 'it does not fit')
  const letter = { record: recordWith(trace), error, flow: 'billing', stage: 'map', attempts: 1 }
  const { headers } = messageFor(letter, 'letters', 'shop')
  expect([headerOf(headers, 'traceparent'), headerOf(headers, 'tracestate')]).toEqual([traceparent, tracestate])
})
