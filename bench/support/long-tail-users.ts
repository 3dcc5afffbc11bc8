/** Every second event is of a user who has no other; the rest are of users by a law of Zipf: the n-th has 1/n of the first. */
export const users = Number(process.env['USERS'] ?? 10_000_000)
export const events = 2 * users

export function userOf(random: () => number, index: number): number {
  return index % 2 === 0 ? index / 2 : Math.floor(users ** random()) - 1
}
