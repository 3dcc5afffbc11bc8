/** Seeds that failed once, each with why: they are run for ever. */
export const failedSeeds: readonly { readonly seed: number; readonly why: string }[] = [
  { seed: 36, why: 'two sources of a static process were one member to their group, and drove each other out' },
  { seed: 20538, why: 'the simulated group told a member that was cut off of a gift after it had taken it back' },
  { seed: 20665, why: 'the simulated group waited for ever for a member whose process ended while it was cut off' },
]
