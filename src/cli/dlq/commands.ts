import type { Command } from 'commander'
import { gathered, type Io } from '../io.js'
import { type DropOptions, drop } from './drop.js'
import { type LsOptions, ls } from './ls.js'
import { type ReplayOptions, replay } from './replay.js'
import { type ShowOptions, show } from './show.js'

/** `weir dlq …` */
export function addDlq(program: Command, io: Io, ended: (code: number) => void): void {
  const dlq = program.command('dlq').description('Looks at dead letters, and brings their records back.')
  const command = (name: string, description: string) =>
    dlq
      .command(name)
      .description(description)
      .option('-c, --config <file>', 'the configuration (default: flows.config.ts)')
      .option(
        '--topic <topic>',
        'a topic of dead letters, whoever writes them; may be given several times (default: those of the flows)',
        gathered,
      )
      .option('--connection <name>', 'the Kafka connection of --topic, where there are several')
      .option('--flow <name>', 'only letters of this flow; of others, of this connector or consumer group')
      .option('--stage <name>', 'only letters of this stage')
      .option('--code <code>', 'only letters with this code, or class of exception')
      .option('--key <key>', 'only letters whose record has this key')
      .option('--since <time>', 'only letters whose record is of this time or later, such as 2026-01-31T12:00:00Z')
      .option('--until <time>', 'only letters whose record is of before this time')
  const letters = [
    '[letter...]',
    'which letters, such as orders.dead-letters-0@17 (default: all that the options say)',
  ] as const

  command('ls', 'Counts dead letters by what they failed of, and lists the newest.')
    .option('--all', 'those that were replayed or dropped as well')
    .option('--limit <n>', 'how many of the newest are listed', '20')
    .option('--json', 'print JSON')
    .action(async (options: LsOptions) => ended(await ls(options, io)))
  command('show', 'Prints a letter: its value decoded, its headers, the error, and where its record was read.')
    .argument('<letter>', 'such as orders.dead-letters-0@17, or its number in weir dlq ls with the same options')
    .option('--all', 'counts as weir dlq ls --all does')
    .option('--registry <url>', 'the schema registry (default: SCHEMA_REGISTRY_URL, or that of the configuration)')
    .option('--json', 'print JSON')
    .action(async (letter: string, options: ShowOptions) => ended(await show(letter, options, io)))
  command('replay', 'Writes the records of letters again, to the topics that they were read from, each once.')
    .argument(...letters)
    .option('--to <topic>', 'to this topic instead')
    .option('--through <flow>', 'through this flow alone, by its first retry topic, and to nobody else')
    .option('--transform <file>', 'a file whose default export changes each record, or leaves it out')
    .option('--limit <n>', 'at most so many')
    .option('--max-attempts <n>', 'leave those that were replayed so often before, and failed again', '3')
    .option('--again', 'also those that were replayed or dropped before')
    .option('--dry-run', 'only say what would happen, and what flows would reject as they are now')
    .action(async (places: string[], options: ReplayOptions) => ended(await replay(places, options, io)))
  command('drop', 'Marks letters as dropped: no listing shows them then, and no replay takes them.')
    .argument(...letters)
    .option('--yes', 'ask nothing')
    .action(async (places: string[], options: DropOptions) => ended(await drop(places, options, io)))
}
