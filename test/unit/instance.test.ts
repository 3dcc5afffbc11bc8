import { expect, test } from 'vitest'
import { instanceOf } from '../../src/cli/instance.js'

test.each([
  ['what it is told', { WEIR_INSTANCE_ID: 'one', POD_NAME: 'pod', HOSTNAME: 'weir-0' }, undefined, 'one'],
  ["the pod's name", { POD_NAME: 'pod', HOSTNAME: 'weir-0' }, undefined, 'pod'],
  ["a StatefulSet's host", { HOSTNAME: 'weir-worker-12' }, undefined, 'weir-worker-12'],
  ['no name, as the pod of a Deployment', { HOSTNAME: 'weir-7d4b9c6f5-x8k2p' }, undefined, undefined],
  ['no name, as one whose five signs are digits', { HOSTNAME: 'weir-7d4b9c6f5-24567' }, undefined, undefined],
  ['no name, elsewhere', { HOSTNAME: 'laptop', WEIR_INSTANCE_ID: '' }, 2, undefined],
  ['a name for each worker', { WEIR_INSTANCE_ID: 'one' }, 2, 'one-2'],
])('a process has %s', (_, environment, worker, name) => {
  expect(instanceOf(environment, worker)).toBe(name)
})
