import { expect, test } from 'vitest'
import { consoleSink, env, flow } from '../../src/index.js'
import { config, faultsOf, flowOf, orders } from '../support/compiling.js'

const declared = flow(orders, consoleSink({ onError: 'skip' }))
const given = (options: object) => config(declared.with(options))

test.each([
  ['a field is misspelt', { atempts: 3 }, /Unrecognized key.*atempts/],
  ['a limit of the epoch is misspelt', { epoch: { max: 3 } }, /option 'epoch' Unrecognized key.*max/],
  ['an epoch takes no records', { epoch: { maxRecords: 0 } }, /option 'epoch.maxRecords' Too small/],
  ['an epoch takes less than none', { epoch: { maxRecords: -1 } }, /option 'epoch.maxRecords' Too small/],
  ['an epoch takes what is no number', { epoch: { maxRecords: Number.NaN } }, /option 'epoch.maxRecords' .*NaN/],
  ['an epoch takes no bytes', { epoch: { maxBytes: 0 } }, /option 'epoch.maxBytes' Too small/],
  ['an epoch lasts no time', { epoch: { every: 0 } }, /option 'epoch.every' expected '1ms' or more/],
  ['an epoch lasts what is no time', { epoch: { every: '1 second' } }, /option 'epoch.every' expected a duration/],
  ['an epoch is but a time', { epoch: '1s' }, /option 'epoch' .*expected object/],
  ['it lingers what is no time', { epoch: { linger: 'a bit' } }, /option 'epoch.linger' expected a duration/],
  ['it is never tried', { attempts: 0 }, /option 'attempts' Too small/],
  ['it is tried what is no number', { attempts: '3' }, /option 'attempts' .*expected number/],
  ['a guarantee is misspelt', { guarantee: 'exactly_once' }, /option 'guarantee' expected 'exactly-once'/],
  ['a guarantee is the usual one', { guarantee: 'at-least-once' }, /option 'guarantee' expected 'exactly-once'/],
  [
    'dead letters go where no topic is',
    { deadLetters: 'my letters' },
    /option 'deadLetters' expected a name that a topic/,
  ],
  ['it gives up but one store', { givesUp: 'seen' }, /option 'givesUp' .*expected array/],
  ['checkpoints are no name', { checkpoints: 5 }, /option 'checkpoints' .*expected string/],
])('where %s, the flow is refused, and the place is told', (_, options, said) => {
  const faults = faultsOf(given(options))
  expect(faults.map(({ message }) => message)).toEqual([expect.stringMatching(said)])
  expect(faults[0]?.message).toContain("flow 'flow':")
  expect(faults[0]?.declaredAt?.stack).toContain('flow-options.test.ts')
})

test('options that hold are taken as they are', () => {
  const options = { attempts: 3, epoch: { maxRecords: 1, every: '2m', linger: 0 }, givesUp: ['seen'], deadLetters: 'l' }
  const { attempts, givesUp, parts } = flowOf(given(options))
  expect({ attempts, givesUp, limits: parts[0]?.limits }).toMatchObject({
    attempts: 3,
    givesUp: ['seen'],
    limits: { maxRecords: 1, everyMs: 120_000, lingerMs: 0 },
  })
})

test('checkpoints that are a setting are told of once where they are not set', () => {
  const faults = faultsOf(given({ checkpoints: env('WHERE') }))
  expect(faults.map(({ message }) => message)).toEqual([expect.stringMatching(/^flow 'flow': checkpoints: .*WHERE/)])
  expect(flowOf(given({ checkpoints: env('WHERE').default('memory') })).checkpoints).toBe('memory')
})

test.each([
  ['kafak', /^deadLetters: no connection 'kafak'$/],
  ['db', /^deadLetters: a postgres connection \('db'\) takes none$/],
])('dead letters of all flows that go to %s are refused, whether or not a stage writes any', (deadLetters, said) => {
  expect(faultsOf(config(declared, { deadLetters }))).toEqual([
    expect.objectContaining({ message: expect.stringMatching(said), hint: "Name 'kafka'." }),
  ])
})
