import { expect, test } from 'vitest'
import { asWeirError, describeError, messageOf, recordFault, StreamRecord, stackOf } from '../../src/model/index.js'
import { Draft } from '../../src/state/letter-protocol/index.js'
import { createLog } from '../../src/worker/log.js'

const broken = (): never => {
  throw new Error('not this either')
}
const withField = (name: string, field: PropertyDescriptor) =>
  Object.defineProperty(new Error('told'), name, { configurable: true, ...field })

/** What the code of a stage may throw, or reject with. */
const thrown: Readonly<Record<string, unknown>> = {
  undefined: undefined,
  null: null,
  'a text': 'text',
  'a symbol': Symbol('thrown'),
  'an object of no class': Object.create(null),
  'a frozen object': Object.freeze({ a: 1 }),
  'what will not be text': { toString: broken, toJSON: broken },
  'a message that throws': withField('message', { get: broken }),
  'a message that is no text': withField('message', { value: { toString: broken } }),
  'a name that throws': withField('name', { get: broken }),
  'a name that is a symbol': withField('name', { value: Symbol('name') }),
  'a stack that throws': withField('stack', { get: broken }),
  'a stack that is no text': withField('stack', { value: 1 }),
  'a proxy that throws': new Proxy(new Error('told'), { get: broken, getPrototypeOf: broken }),
  'an aggregate of such': Object.assign(new AggregateError([withField('message', { get: broken })]), { message: '' }),
}

test.each(Object.entries(thrown))('%s is told, logged and dead-lettered', (_, cause) => {
  const lines: string[] = []
  const log = createLog({
    level: 'debug',
    format: 'json',
    destination: { write: (line) => lines.push(line) },
    redact: (text) => text,
  })
  const value = { get: cause }
  const record = new StreamRecord('key', value, 1, [], { topic: 't', partition: 0, offset: 1 })
  for (const error of [asWeirError(cause, 'WEIR_STAGE_FAILED'), recordFault(cause, 'writing')]) {
    log.warn({ error, err: error.cause }, describeError(error))
    const draft = new Draft({ record, error, flow: 'f', stage: 's', attempts: 1 })
    const { headers } = draft.message({ app: 'app', now: 0 })
    for (const header of headers) expect(Object.values(header).map((held) => typeof held)).toEqual(['string'])
  }
  expect(lines.length).toBe(2)
  expect(typeof messageOf(cause)).toBe('string')
  expect(typeof stackOf(cause)).toBe('string')
})

test('a value that can not be shown is dead-lettered', () => {
  const shown = Symbol.for('nodejs.util.inspect.custom')
  for (const value of [
    { [shown]: broken, toJSON: broken },
    {
      toJSON: broken,
      get [Symbol.toStringTag]() {
        return broken()
      },
    },
  ]) {
    const record = new StreamRecord('key', value, 1, [], { topic: 't', partition: 0, offset: 1 })
    const error = asWeirError(new Error('x'), 'WEIR_STAGE_FAILED')
    const draft = new Draft({ record, error, flow: 'f', stage: 's', attempts: 1 })
    const message = draft.message({ app: 'app', now: 0 })
    expect(message.value).toBeInstanceOf(Buffer)
  }
})
