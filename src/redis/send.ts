import { Command } from 'ioredis'
import type { RedisClient } from './connection.js'
import type { RedisCommand } from './write-plan.js'
import type { Word } from './writes.js'

/** Sends a command as a list of words, of which there may be more than a function takes arguments. */
export function send(client: RedisClient, words: readonly Word[]): Promise<unknown> {
  const [name = '', ...rest] = words
  const command = new Command(String(name), rest.map(argument), { replyEncoding: 'utf8' })
  return client.sendCommand(command) as Promise<unknown>
}

/** Sends commands without waiting in between. Emits what each was refused with, or undefined. */
export async function sendAll(
  client: RedisClient,
  commands: readonly RedisCommand[],
): Promise<readonly (Error | undefined)[]> {
  const outcomes = await Promise.allSettled(commands.map(({ words }) => send(client, words)))
  return outcomes.map((outcome) => (outcome.status === 'rejected' ? (outcome.reason as Error) : undefined))
}

/** The client knows bytes as buffers only. */
function argument(word: Word): string | number | Buffer {
  return word instanceof Uint8Array ? Buffer.from(word.buffer, word.byteOffset, word.byteLength) : word
}
