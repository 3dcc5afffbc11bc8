/** Seeds that failed once, each with why: they are run for ever. */
export const failedSeeds: readonly { readonly seed: number; readonly why: string }[] = [
  { seed: 36, why: 'two sources of a static process were one member to their group, and drove each other out' },
]
