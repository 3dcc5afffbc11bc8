import type { Command } from 'commander'
import { withBrokerOptions } from '../brokers.js'
import { gathered, type Io } from '../io.js'
import { type BrowseOptions, browse } from './browse.js'
import { type LsOptions, ls } from './ls.js'
import { type ProduceOptions, produce } from './produce.js'
import { type ShowOptions, show } from './show.js'
import { tail } from './tail.js'

/** `weir topics …` */
export function addTopics(program: Command, io: Io, ended: (code: number) => void): void {
  const topics = program.command('topics').description('Looks into topics of Kafka, and writes records to them.')
  const command = (name: string, description: string) =>
    withBrokerOptions(topics.command(name).description(description))
  const registry = [
    '--registry <url>',
    'the schema registry (default: SCHEMA_REGISTRY_URL, or that of the configuration)',
  ] as const
  const reading = (name: string, description: string) =>
    command(name, description)
      .argument('<topic>', 'the topic')
      .option('--partition <number>', 'only this partition')
      .option('--from <offset>', "from this offset on, 'earliest' or 'latest'")
      .option('--since <time>', 'only records of this time or later: 2026-01-31T12:00:00Z, or 10m for ten minutes ago')
      .option('--until <time>', 'only records of before this time')
      .option('--key <key>', 'only records with this key: its text, or 0x… for bytes')
      .option('--grep <text>', 'only records that have this text in their value')
      .option('--uncommitted', 'also what transactions have left open or aborted')
      .option('--full', 'cut no value off')
      .option(...registry)
      .option('--json', 'print JSON, one record a line')

  command('ls', 'Lists the topics, and how many records they have.')
    .argument('[text]', 'only those with this text in their name')
    .option('--all', 'those of the brokers as well')
    .option('--json', 'print JSON')
    .action(async (text: string | undefined, options: LsOptions) => ended(await ls(text, options, io)))
  command('show', 'Prints the partitions of a topic; or all of one record.')
    .argument('<what>', 'a topic, or a record such as orders-0@17')
    .option(...registry)
    .option('--json', 'print JSON')
    .action(async (what: string, options: ShowOptions) => ended(await show(what, options, io)))
  reading('browse', 'Prints the newest records of a topic, newest first; with --from those from there on.')
    .option('--limit <n>', "how many, or 'all' from an offset on", '20')
    .action(async (topic: string, options: BrowseOptions) => ended(await browse(topic, options, io)))
  reading('tail', 'Prints the records of a topic as they come, until Ctrl-C.')
    .option('--limit <n>', 'ends after so many')
    .action(async (topic: string, options: BrowseOptions) => ended(await tail(topic, options, io)))
  command('produce', 'Writes a record to a topic, or one for each line of the input.')
    .argument('<topic>', 'the topic')
    .argument('[value]', 'the value (default: each line of the input is one)')
    .option('--key <key>', 'the key')
    .option('--parse-key', 'each line begins with its key')
    .option('--separator <text>', 'what is between key and value (default: a tab)')
    .option('--header <name=value>', 'a header; may be given several times', gathered)
    .option('--partition <number>', 'the partition (default: by the key)')
    .option('--time <time>', 'the time of the records (default: now)')
    .option('--tombstone', 'a record without a value')
    .option('--null <text>', 'lines with this text in place of a value are tombstones')
    .option('--create <partitions>', 'makes the topic, with so many partitions, where it is not there')
    .action(async (topic: string, value: string | undefined, options: ProduceOptions) =>
      ended(await produce(topic, value, options, io)),
    )
}
