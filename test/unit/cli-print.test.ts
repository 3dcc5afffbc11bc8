import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { print } from '../../src/cli/print.js'

/** As `process.stdout` is: writable whatever has become of it. */
class Stream extends EventEmitter {
  readonly writable = true
  readonly written: string[] = []
  isFull = false

  write(text: string): boolean {
    this.written.push(text)
    return !this.isFull
  }
}

test('it waits until what was written is taken, and leaves no listener behind', async () => {
  const stream = new Stream()
  stream.isFull = true
  let isDone = false
  const printing = print(stream, 'one').then((isRead) => {
    isDone = true
    return isRead
  })
  await new Promise((resolve) => setImmediate(resolve))
  expect(isDone).toBe(false)
  stream.emit('drain')
  expect(await printing).toBe(true)
  const listeners = () => ['drain', 'close', 'error'].map((event) => stream.listenerCount(event))
  const before = listeners()
  for (let n = 0; n < 20; n++) {
    const more = print(stream, 'more')
    stream.emit('drain')
    await more
  }
  expect(listeners()).toEqual(before)
})

test('a stream of the process that nobody reads any more is told, though it stays writable', async () => {
  const stream = new Stream()
  stream.isFull = true
  const printing = print(stream, 'one')
  stream.emit('error', new Error('write EPIPE'))
  expect(await printing).toBe(false)
  expect(await print(stream, 'two')).toBe(false)
  expect(stream.written).toEqual(['one'])
})
