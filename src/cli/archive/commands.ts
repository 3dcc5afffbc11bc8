import type { Command } from 'commander'
import { gathered, type Io } from '../io.js'
import { cat } from './cat.js'
import { type LsOptions, ls } from './ls.js'
import { type ReplayOptions, replay } from './replay.js'
import { type VerifyOptions, verify } from './verify.js'
import type { WhereOptions } from './where.js'

/** `weir archive …` */
export function addArchive(program: Command, io: Io, ended: (code: number) => void): void {
  const archive = program.command('archive').description('Looks at an archive of events, and replays it.')
  const command = (name: string, description: string) =>
    archive
      .command(name)
      .description(description)
      .option('-c, --config <file>', 'the configuration (default: flows.config.ts)')
  const where =
    'a folder, the URL of a store (file, s3, gs, azure), or the flow that writes the archive (default: the only one)'

  command('ls', 'Lists files, records, bytes and days by topic and partition.')
    .argument('[where]', where)
    .option('--json', 'print JSON')
    .action(async (place: string | undefined, options: LsOptions) => ended(await ls(place, options, io)))
  command('verify', 'Says which offsets are missing, doubled or out of place. Fails when any is.')
    .argument('[where]', where)
    .option('--deep', 'read every row, and not only names and footers')
    .option('--gaps <n>', 'how many offsets in a row may be without a record', '0')
    .option('--json', 'print JSON')
    .action(async (place: string | undefined, options: VerifyOptions) => ended(await verify(place, options, io)))
  command('cat', 'Prints the events of a file, or of an offset, as CloudEvents JSON, one a line.')
    .argument('<what>', 'a file, with or without the place of its archive before it, or topic-partition@offset')
    .argument('[where]', where)
    .action(async (what: string, place: string | undefined, options: WhereOptions) =>
      ended(await cat(what, place, options, io)),
    )
  command('replay', 'Writes archived events to a topic again, each once, however often it is run.')
    .argument('<topic>', 'the topic that they were read from')
    .argument('[where]', where)
    .requiredOption('--to <topic>', 'the topic to write; it is made where it is not there')
    .option('--since <time>', 'only events of this time or later, such as 2026-01-31T12:00:00Z')
    .option('--until <time>', 'only events before this time')
    .option('--type <type>', 'only events of this type; may be given several times', gathered)
    .option('--offsets <range>', 'only these, such as 0@100-199 of partition 0; may be given several times', gathered)
    .option('--connection <name>', 'the Kafka connection, where there are several')
    .option('--again', 'write again what an earlier run has written')
    .option('--dry-run', 'only say what would be written')
    .action(async (topic: string, place: string | undefined, options: ReplayOptions) =>
      ended(await replay(topic, place, options, io)),
    )
}
