/** Seeds that failed once, each with its scenario and why: they are run for ever. */
export const failedSeeds: readonly { readonly seed: number; readonly scenario: string; readonly why: string }[] = [
  {
    seed: 36,
    scenario: 'two topics in batches, at least once',
    why: 'two sources of a static process were one member to their group, and drove each other out',
  },
  {
    seed: 20538,
    scenario: 'copies, exactly once',
    why: 'the simulated group told a member that was cut off of a gift after it had taken it back',
  },
  {
    seed: 20665,
    scenario: 'windows, exactly once',
    why: 'the simulated group waited for ever for a member whose process ended while it was cut off',
  },
  {
    seed: 3,
    scenario: 'keyed windows in batches, exactly once',
    why: 'an internal topic that could not be written to was never opened again, until the flow gave up',
  },
  {
    seed: 12,
    scenario: 'shared windows, at least once',
    why: 'who woke up after an internal topic was truncated read on behind the gap, and told results without the rest',
  },
  ...[5416, 60349].map((seed) => ({
    seed,
    scenario: 'shared windows of idle partitions, exactly once',
    why: 'a partition that was told to be idle when windows closed was awaited again when that was committed',
  })),
  {
    seed: 702744,
    scenario: 'transactions, exactly once',
    why: 'a simulated producer went on as if nothing had happened when nobody waited for its commit any more',
  },
  {
    seed: 700121,
    scenario: 'keyed counts, exactly once',
    why: 'a simulated producer that had written all told so to who asked again meanwhile, for what was not written',
  },
  {
    seed: 800157,
    scenario: 'shared windows of idle partitions, exactly once',
    why: 'that all partitions are idle began anew each time it was repeated, and the last windows stayed open',
  },
  {
    seed: 221,
    scenario: 'windows by user and dead letters of trailing partitions, exactly once',
    why: 'what a task had told before it lost a partition was forgotten for what the next one told of an earlier position',
  },
  {
    seed: 279,
    scenario: 'transactions, exactly once',
    why: 'a simulated process that was to end after it had been replaced was spared, and both fought over their member',
  },
  {
    seed: 200,
    scenario: 'shared windows of idle partitions, exactly once',
    why: 'a simulated process that had been replaced was spared by the end of the storm, just before it was to end',
  },
  {
    seed: 1,
    scenario: 'shared windows of a recreated topic, exactly once',
    why: 'how far a partition had come in a topic that was deleted was told of the new one, and nothing of that was heard until it was as long',
  },
  {
    seed: 126,
    scenario: 'shared windows of a recreated topic, exactly once',
    why: 'what was combined of a topic that was deleted was taken for records of the new one, and became dead letters of partials',
  },
  ...[37, 127].map((seed) => ({
    seed,
    scenario: 'shared windows of a recreated topic, exactly once',
    why: 'a topic was deleted before anything of it was committed, and what was sent of it was held against the new one',
  })),
  {
    seed: 29,
    scenario: 'shared windows of a recreated topic, exactly once',
    why: 'a partition that had brought something in a topic that was deleted, and never committed, kept its watermark, and windows waited for it',
  },
  ...[17, 23].map((seed) => ({
    seed,
    scenario: 'shared windows of a recreated topic, exactly once',
    why: 'partial results of partitions that a topic no longer had when it was created again stayed behind in their stores',
  })),
  {
    seed: 79,
    scenario: 'copies of a changing topic, exactly once',
    why: 'the simulator took a topic that had not been read for one that had',
  },
  {
    seed: 36,
    scenario: 'copies of a changing topic, at least once',
    why: 'the simulated log that had lost its end grew past a reader that was still finding out where to begin',
  },
  ...[639, 1615].map((seed) => ({
    seed,
    scenario: 'copies of a changing topic, at least once',
    why: 'the simulator held the place where a flow was about to begin in a topic that had just gone against the one to come',
  })),
  ...[364, 1096].map((seed) => ({
    seed,
    scenario: 'shared windows of partitions that rest, while processes restart',
    why: 'simulated processes ended so often that sessions and idleness took nearly all of their time',
  })),
  ...[1009, 1027, 1244].map((seed) => ({
    seed,
    scenario: 'shared windows of which an input is taken away, exactly once',
    why: 'windows closed before what was left of an input that was taken away was sent on: nobody waited for it any more',
  })),
  {
    seed: 3221,
    scenario: 'shared windows of which an input is taken away, exactly once',
    why: 'windows closed by what was told while another input was read, of which nothing had come yet',
  },
  {
    seed: 52,
    scenario: 'shared windows of partitions that rest, while processes restart',
    why: 'a partition that rested far ahead was awaited alone when its process began anew, and windows closed without the others',
  },
  {
    seed: 739160612,
    scenario: 'windows of a recreated topic, exactly once',
    why: 'the simulated group left partitions that a topic no longer had with who had them, and windows waited for them',
  },
  {
    seed: 51_001_259,
    scenario: 'shared windows of a recreated topic, exactly once',
    why: 'a member was told that it is given nothing more while its topic was away, and never looked again at what had come in its place',
  },
  {
    seed: 51_001_752,
    scenario: 'shared windows of a recreated topic, exactly once in Kafka',
    why: 'a topic was made anew twice, and windows waited for a partition of the second one that the first partition never was in',
  },
]
