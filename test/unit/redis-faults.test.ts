import { describe, expect, test } from 'vitest'
import { isReadOnly, redisFaults } from '../../src/redis/faults.js'

const answer = (text: string) => Object.assign(new Error(text), { name: 'ReplyError' })
const inScript = (text: string) =>
  answer(`ERR Error running script (call to f_6e2): @user_script:7: @user_script: 7: -${text}`)

describe('an answer of Redis', () => {
  test.each(['READONLY You can not write against a read only replica.', 'OOM command not allowed', 'MISCONF Redis is'])(
    "from within a script, before version 7, is the system's fault: %s",
    (text) => {
      expect(redisFaults.of(inScript(text))).toBe('system')
      expect(redisFaults.of(answer(text))).toBe('system')
    },
  )

  test('of a replica has the client connect anew, from within a script too', () => {
    const text = 'READONLY You can not write against a read only replica.'
    expect([answer(text), inScript(text)].map(isReadOnly)).toEqual([true, true])
    expect(isReadOnly(answer('WRONGTYPE Operation against a key'))).toBe(false)
  })

  test("of another kind is the record's", () => {
    expect(redisFaults.of(answer('WRONGTYPE Operation against a key'))).toBe('record')
    expect(redisFaults.of(inScript('WRONGTYPE Operation against a key'))).toBe('record')
  })
})
