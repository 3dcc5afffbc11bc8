import { type SchemaRegistry, schemaRegistry } from '../../codecs/schema-registry.js'
import { plainText } from '../../codecs/utf8.js'
import type { Message } from '../../kafka/client.js'
import { LetterMarks } from '../../kafka/letter-marks.js'
import { messagesIn } from '../../kafka/whole-topic.js'
import { printable, printableLine, timeText } from '../../model/index.js'
import { exitCodes, type Io, UsageError } from '../io.js'
import { painter, table } from '../paint.js'
import { registryUrl, withRegistry } from '../schema-registry.js'
import { countText } from '../stored.js'
import { type Decoded, decoded } from './decode.js'
import { atPlaces, type FilterOptions, filterOf, type LetterFilter } from './filter.js'
import { allLetters, type Letter, letterOf, originText } from './letters.js'
import { listed } from './ls.js'
import { atDesk, type Desk, type LetterTopic, type WhereOptions } from './where.js'

export interface ShowOptions extends WhereOptions, FilterOptions {
  readonly all?: boolean
  readonly registry?: string
  readonly json?: boolean
}

/** `weir dlq show <letter>`: a letter, named by its place or by its number in `weir dlq ls` with the same filters. */
export async function show(what: string, options: ShowOptions, io: Io): Promise<number> {
  const number = /^\d+$/.test(what) ? Number(what) : undefined
  const isMeant = filterOf(options)
  return atDesk(atPlaces(options, number === undefined ? [what] : []), io, async (desk) => {
    const letter =
      number === undefined
        ? await placed(what, desk.topics)
        : await numbered(number, isMeant, options.all ?? false, desk)
    const value = await withAnyRegistry(options, desk, (registry) => decoded(letter.value, registry))
    const text = options.json
      ? JSON.stringify(asJson(letter, value), undefined, 2)
      : lines(letter, value, io).join('\n')
    io.stdout.write(desk.prepared.redact(`${text}\n`))
    return exitCodes.ok
  })
}

async function placed(place: string, [topic]: readonly LetterTopic[]): Promise<Letter> {
  const [, partition, offset] = (/-(\d+)@(\d+)$/.exec(place) ?? []).map(Number)
  const extent = topic?.extents.find((one) => one.partition === partition)
  if (topic !== undefined && extent !== undefined && offset !== undefined && offset >= extent.start) {
    const marks = new LetterMarks(topic.connection, topic.topic)
    await marks.read(topic.extents)
    const one = { ...extent, start: offset, end: Math.min(extent.end, offset + 1) }
    for await (const messages of messagesIn(topic.connection, [one]))
      for (const message of messages) if (message.offset === offset) return letterOf(message, marks)
  }
  const range =
    extent === undefined ? 'there is no such partition' : `it begins at ${extent.start} and ends before ${extent.end}`
  throw new UsageError(`there is no letter ${place}: ${range}, and not every offset has one`)
}

async function numbered(number: number, isMeant: LetterFilter, all: boolean, { topics }: Desk): Promise<Letter> {
  const { newest } = await listed(allLetters(topics), { isMeant, all, limit: Math.max(number, 1) })
  const letter = newest[number - 1]
  if (letter !== undefined) return letter
  throw new UsageError(`there is no letter ${number}: weir dlq ls with the same filters has ${newest.length}`)
}

/** That of the command line or of the environment, or the one of the configuration. */
function withAnyRegistry<T>(
  options: ShowOptions,
  { io, engine, prepared }: Desk,
  use: (registry: SchemaRegistry | undefined) => Promise<T>,
): Promise<T> {
  if (registryUrl(options, io) !== undefined) return withRegistry(options, io, use)
  const { kind } = schemaRegistry.definition
  const [declared] = [...prepared.topology.connections].find(([, { definition }]) => definition.kind === kind) ?? []
  const registry = declared === undefined ? undefined : (engine.connection(declared) as SchemaRegistry)
  return use(registry?.isNamed ? registry : undefined)
}

function lines(letter: Letter, value: Decoded, io: Io): string[] {
  const { facts, key, timestamp, mark } = letter
  const paint = painter(io.stdout, io)
  const rows: [string, string | undefined][] = [
    ['letter', letter.at],
    [
      'state',
      mark === undefined ? 'waiting' : `${mark.state} ${mark.at}${mark.to === undefined ? '' : ` to ${mark.to}`}`,
    ],
    ['error', facts.code],
    ['from', originText(facts)],
    ['time', timeText(timestamp)],
    ['flow', facts.flow],
    ['stage', facts.stage],
    ['tried', facts.attempts === undefined ? undefined : countText(facts.attempts, 'time')],
    ['replayed', facts.replays === 0 ? undefined : `${countText(facts.replays, 'time')} before`],
    ['cut', facts.cut.length === 0 ? undefined : `${facts.cut.join(', ')}: not as it was`],
    ['key', key === null ? 'null' : textOrHex(key)],
    [
      'value',
      `${value.format}, ${countText(letter.value?.length ?? 0, 'byte')}${value.note === undefined ? '' : ` (${value.note})`}`,
    ],
  ]
  const told = table(rows.flatMap(([name, text]) => (text === undefined ? [] : [[name, text]])))
  const part = (name: string, text: string | undefined) =>
    text === undefined || text === '' ? [] : ['', paint('dim', name), printable(text)]
  const headers = entriesOf(letter.all).map(([name, held]) => `${printableLine(name)}: ${printableLine(firstOf(held))}`)
  return [
    ...told,
    ...part('value', value.text),
    ...part('error', facts.message),
    ...part('headers', headers.join('\n')),
    ...part('stack', facts.stack),
  ]
}

function asJson({ facts, all, value, ...letter }: Letter, { format, text, note }: Decoded) {
  const { headers: _, ...told } = facts
  return {
    at: letter.at,
    state: letter.mark?.state ?? 'waiting',
    mark: letter.mark,
    ...told,
    time: timeText(letter.timestamp),
    key: letter.key === null ? null : textOrHex(letter.key),
    value: { format, bytes: value?.length ?? 0, text, note },
    headers: entriesOf(all).map(([name, held]) => ({ name, value: held })),
  }
}

/** Numbers of Spring's are bytes. */
function entriesOf(headers: Message['headers']): [string, string | null][] {
  return (headers ?? []).flatMap((header) =>
    Object.entries(header as object).map(([name, value]: [string, Buffer | string | null]): [string, string | null] => [
      name,
      value === null ? null : textOrHex(value),
    ]),
  )
}

function textOrHex(value: Buffer | string): string {
  return typeof value === 'string' ? value : (plainText(value) ?? `0x${value.toString('hex')}`)
}

function firstOf(text: string | null): string {
  if (text === null) return 'null'
  const [line = '', ...rest] = text.split('\n')
  return rest.length === 0 ? line : `${line} … ${countText(rest.length, 'line')} more`
}
