import type { RedisCommand } from './write-plan.js'
import type { Word } from './writes.js'

/** What scripts in Lua have in common: they take their arguments one after the other, as `take()`. */
export const takingWords = `
  local at = 0
  local function take()
    at = at + 1
    return ARGV[at]
  end`

/** Carries out the commands that `toCarryOut` lists. */
export const carryingOut = `
  for _ = 1, tonumber(take()) do
    local words = {}
    for word = 1, tonumber(take()) do words[word] = take() end
    redis.call(unpack(words))
  end`

/** Commands as arguments of a script. */
export function toCarryOut(commands: readonly RedisCommand[]): Word[] {
  return [commands.length, ...commands.flatMap(({ words }) => [words.length, ...words])]
}

/** The keys of a script that writes to these, the first one before all others. */
export function keysOf(first: string, commands: readonly RedisCommand[]): string[] {
  return [...new Set([first, ...commands.map(({ key }) => key)])]
}
