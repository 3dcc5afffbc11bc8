import { LetterMarks } from '../../kafka/letter-marks.js'
import { messagesIn } from '../../kafka/whole-topic.js'
import { timeText } from '../../model/index.js'
import { audited } from '../audit.js'
import { type Decoded, decoded } from '../decode.js'
import { exitCodes, type Io, UsageError } from '../io.js'
import { painter, shownJson, table } from '../paint.js'
import { headerEntries, headerLines, part, textOrHex } from '../record-text.js'
import { withAnyRegistry } from '../schema-registry.js'
import { countText } from '../stored.js'
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
    return audited(desk, { action: 'dlq.show', subject: letter.at }, io, async () => {
      const value = await withAnyRegistry(options, io, desk, (registry) => decoded(letter.value, registry))
      const text = options.json ? shownJson(asJson(letter, value)) : lines(letter, value, io).join('\n')
      io.stdout.write(desk.prepared.redact(`${text}\n`))
      return exitCodes.ok
    })
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
  return [
    ...told,
    ...part('value', value.text, paint),
    ...part('error', facts.message, paint),
    ...part('headers', headerLines(letter.all), paint),
    ...part('stack', facts.stack, paint),
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
    headers: headerEntries(all),
  }
}
