import type { Command } from 'commander'
import { withBrokerOptions } from '../brokers.js'
import { gathered, type Io } from '../io.js'
import { type LsOptions, ls } from './ls.js'
import { type ResetOptions, reset } from './reset.js'
import { show } from './show.js'

/** `weir groups …` */
export function addGroups(program: Command, io: Io, ended: (code: number) => void): void {
  const groups = program
    .command('groups')
    .description('Looks at consumer groups, how far behind they are, and moves them.')
  const command = (name: string, description: string) =>
    withBrokerOptions(groups.command(name).description(description))

  command('ls', 'Lists the groups, and how far they are behind, in records and in time.')
    .argument('[text]', 'only those with this text in their name')
    .option('--json', 'print JSON')
    .action(async (text: string | undefined, options: LsOptions) => ended(await ls(text, options, io)))
  command('show', 'Prints where a group is in each partition, and who reads it.')
    .argument('<group>', 'the group')
    .option('--json', 'print JSON')
    .action(async (group: string, options: LsOptions) => ended(await show(group, options, io)))
  command('reset', 'Sets where a stopped group goes on, or a flow that has its positions in a checkpoint store.')
    .argument('<group>', 'the group, or the flow of the configuration')
    .requiredOption('--to <where>', 'earliest, latest, an offset, +n or -n, or a time: 2026-01-31T12:00:00Z, 10m')
    .option('--topic <topic>', 'in this topic; may be given several times (default: all that it reads)', gathered)
    .option('--partition <number>', 'in this partition (default: all)')
    .option('--dry-run', 'only say what would be moved')
    .option('--yes', 'ask nothing')
    .action(async (group: string, options: ResetOptions) => ended(await reset(group, options, io)))
}
