import { expect, onTestFinished, test } from 'vitest'
import { Groups } from '../../src/kafka/groups.js'
import { connect } from '../servers/kafka-support.js'

test('where a broker can not tell who is in a group, that is an error, and not the end of the process', async () => {
  // The embedded broker knows no such question.
  const connection = connect('embedded')
  onTestFinished(() => connection.close())
  await expect(new Groups(connection).describe(['orders'])).rejects.toMatchObject({
    code: 'WEIR_SOURCE_UNREACHABLE',
    message: expect.stringContaining('describing the groups'),
  })
})

test('of no groups there is nothing to ask', async () => {
  expect(await new Groups(connect('127.0.0.1:9')).describe([])).toEqual([])
})
