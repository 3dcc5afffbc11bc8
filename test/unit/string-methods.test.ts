import { setFlagsFromString } from 'node:v8'
import { runInThisContext } from 'node:vm'
import { expect, test } from 'vitest'

/** What V8 calls inline; what it has to look up anew for each call is in slow mode. See ADR 13. */
function areInlined(): boolean {
  setFlagsFromString('--allow-natives-syntax')
  return runInThisContext('%HasFastProperties(String.prototype)') as boolean
}

test('nothing that Weir loads makes the methods of strings slow, as a class that extends String does', async () => {
  await import('../../src/index.js')
  expect(areInlined()).toBe(true)
  class Text extends String {}
  expect(new Text('').length).toBe(0)
  expect(areInlined()).toBe(false)
})
