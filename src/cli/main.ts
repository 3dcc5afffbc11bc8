import { Command, CommanderError } from 'commander'
import { describeConfigError } from '../config/describe.js'
import { withoutCredentials } from '../config/secrets.js'
import { describeError, printable, WeirError } from '../model/index.js'
import { version } from './about.js'
import { addArchive } from './archive/commands.js'
import { type CheckOptions, check, graph } from './check.js'
import { addDlq } from './dlq/commands.js'
import { addGroups } from './groups/commands.js'
import { exitCodes, type Io, UsageError } from './io.js'
import { painter } from './paint.js'
import { type PlanOptions, plan } from './plan.js'
import { dev, run } from './run.js'
import type { RunOptions } from './run-options.js'
import { type SchemaCheckOptions, schemaCheck } from './schema-check.js'
import { schemaDiff, schemaList, schemaRegister } from './schema-registered.js'
import type { RegistryOptions } from './schema-registry.js'
import { type SetPositionOptions, setPosition } from './set-position.js'
import { type SetTimeOptions, setTime } from './set-time.js'
import { start } from './start.js'
import { type StateOptions, state } from './state.js'
import { addTopics } from './topics/commands.js'

/**
 * The `weir` command. Returns its exit code: 0, 1 when flows failed, 2 for a wrong command line, 78 for a wrong
 * configuration, 130 or 143 after a second signal.
 */
export async function main(argv: readonly string[], process: Io): Promise<number> {
  const io = { ...process, secrets: { redact: withoutCredentials } }
  let code: number = exitCodes.ok
  const program = programOf(io, (result) => {
    code = result
  })
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    return failed(error, io)
  }
}

function programOf(io: Io, ended: (code: number) => void): Command {
  const program = new Command('weir')
    .description('Runs the flows of flows.config.ts.')
    .version(version)
    .showHelpAfterError('See weir --help.')
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
  const command = (name: string, description: string) =>
    program
      .command(name)
      .description(description)
      .option('-c, --config <file>', 'the configuration (default: flows.config.ts)')
  command(
    'run',
    'Runs flows, those named or those that the configuration says, until SIGTERM or SIGINT; SIGHUP reloads.',
  )
    .argument('[flow...]', 'which flows')
    .option('-w, --workers <count>', 'how many processes share the work (default: WEIR_WORKERS, or 1)')
    .option('--json', 'log as JSON, on a terminal too')
    .option('-p, --port <port>', 'the HTTP port (default: SERVER_PORT, or 8080)')
    .option('--host <address>', 'where the port listens (default: WEIR_HOST, or all addresses of this machine)')
    .action(async (flows: string[], options: RunOptions) => ended(await run(flows, options, io)))
  command(
    'dev',
    'Runs flows as `run` does, on this machine alone, and restarts those that change when a file is saved.',
  )
    .argument('[flow...]', 'which flows')
    .option('--json', 'log as JSON, on a terminal too')
    .option('-p, --port <port>', 'the HTTP port (default: SERVER_PORT, or 8080)')
    .option(
      '--host <address>',
      'where the port listens (default: WEIR_HOST, or 127.0.0.1, which is this machine alone)',
    )
    .action(async (flows: string[], options: RunOptions) => ended(await dev(flows, options, io)))
  command('check', 'Validates everything, asks schema registries that are named, and prints what each flow guarantees.')
    .option('--json', 'print JSON')
    .option('--state', 'connect to the checkpoint store, and refuse what would lose state that is there')
    .action(async (options: CheckOptions) => ended(await check(options, io)))
  command('plan', 'Prints what running this configuration would do to the state that is stored.')
    .option('--json', 'print JSON')
    .action(async (options: PlanOptions) => ended(await plan(options, io)))
  const stateCommand = command('state', 'Lists what state is stored, or prints the entries of a key in all windows.')
    .argument('[flow]', 'of which flow')
    .argument('[store]', 'of which store')
    .argument('[key]', 'of which key')
    .option('--json', 'print JSON')
    .action(async (flow?: string, store?: string, key?: string, options: StateOptions = {}) =>
      ended(await state([flow, store, key], options, io)),
    )
  stateCommand
    .command('set-position')
    .description('Sets where a flow goes on that has its positions in a checkpoint store; its state stays as it is.')
    .argument('<flow>', 'of which flow')
    .argument('<topic>', 'in which topic')
    .requiredOption('--to <offset>', "the next offset to read, 'earliest' or 'latest'")
    .option('--partition <number>', 'in which partition (default: all)')
    .option('-c, --config <file>', 'the configuration (default: flows.config.ts)')
    // The command above takes an option that both know.
    .action(async (flow: string, topic: string, _: SetPositionOptions, own: Command) =>
      ended(await setPosition(flow, topic, own.optsWithGlobals(), io)),
    )
  stateCommand
    .command('set-time')
    .description('Sets the event time of a flow back that a record has moved too far ahead; positions and state stay.')
    .argument('<flow>', 'of which flow')
    .requiredOption('--to <time>', 'the latest time that it may have seen, such as 2026-01-31T12:00:00Z')
    .option('-c, --config <file>', 'the configuration (default: flows.config.ts)')
    .action(async (flow: string, _: SetTimeOptions, own: Command) =>
      ended(await setTime(flow, own.optsWithGlobals(), io)),
    )
  addSchemaCommands(program, io, ended)
  addArchive(program, io, ended)
  addDlq(program, io, ended)
  addTopics(program, io, ended)
  addGroups(program, io, ended)
  command('graph', 'Prints the stages of each flow.').action(async (options: CheckOptions) =>
    ended(await graph(options, io)),
  )
  command('start', 'Runs flows to try them: with a view and, unless KAFKA_BROKERS is set, demo traffic.')
    .argument('[system]', 'which flows, by a name that the configuration gives them; without one it lists the names')
    .option('--json', 'log as JSON instead of the view')
    .option('-p, --port <port>', 'the HTTP port (default: SERVER_PORT, or 8080)')
    .option(
      '--host <address>',
      'where the port listens (default: WEIR_HOST, or 127.0.0.1, which is this machine alone)',
    )
    .action(async (system: string | undefined, options: RunOptions) => ended(await start(system, options, io)))
  return program
}

function addSchemaCommands(program: Command, io: Io, ended: (code: number) => void): void {
  const schema = program.command('schema').description('Compares, registers and lists the schemas of event types.')
  const command = (name: string, description: string) =>
    schema.command(name).description(description).option('--json', 'print JSON')
  const folder = ['[folder]', 'where <event type>/v<version>.json or .avsc are (default: SCHEMAS, or schemas)'] as const
  const registry = ['--registry <url>', 'the registry (default: SCHEMA_REGISTRY_URL)'] as const
  command('check', 'Compares each version in a folder with those before it; ends with 1 when one may not follow.')
    .argument(...folder)
    .option('--rule <name>', 'backward, forward or full, or one with -transitive (default: backward)')
    .action((where: string | undefined, options: SchemaCheckOptions) => ended(schemaCheck(where, options, io)))
  command('register', 'Registers the schemas of a folder, each under its event type.')
    .argument(...folder)
    .option(...registry)
    .action(async (where: string | undefined, options: RegistryOptions) =>
      ended(await schemaRegister(where, options, io)),
    )
  command('ls', 'Lists the schemas of a registry.')
    .option(...registry)
    .action(async (options: RegistryOptions) => ended(await schemaList(options, io)))
  command('diff', 'Compares a folder with a registry; ends with 1 when they differ.')
    .argument(...folder)
    .option(...registry)
    .action(async (where: string | undefined, options: RegistryOptions) => ended(await schemaDiff(where, options, io)))
}

function failed(error: unknown, io: Io): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  const paint = painter(io.stderr, io)
  const redact = io.secrets?.redact ?? ((text: string) => text)
  const print = (text: string) => io.stderr.write(`${paint('red', 'error')} ${printable(redact(text))}\n`)
  if (error instanceof UsageError) {
    print(error.message)
    return exitCodes.usage
  }
  if (error instanceof WeirError && error.code.startsWith('WEIR_CONFIG_')) {
    print(describeConfigError(error, io.cwd))
    return exitCodes.configuration
  }
  print(error instanceof WeirError ? describeError(error) : String(error instanceof Error ? error.stack : error))
  return exitCodes.failed
}
