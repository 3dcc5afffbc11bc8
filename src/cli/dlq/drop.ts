import { audited } from '../audit.js'
import { agreed, exitCodes, type Io } from '../io.js'
import { countText } from '../stored.js'
import { deedOf } from './deed.js'
import { atPlaces, type FilterOptions, filterOf, type LetterFilter } from './filter.js'
import { allLetters, type Letter } from './letters.js'
import { Marking } from './marking.js'
import { Tally } from './tally.js'
import { atDesk, type Desk, type WhereOptions } from './where.js'

export interface DropOptions extends WhereOptions, FilterOptions {
  readonly yes?: boolean
}

/**
 * `weir dlq drop [letter…]`: marks letters as dropped, so that no listing shows them and no replay takes them. Kafka deletes
 * no single record: it only deletes all before an offset, and those that are not meant with them.
 */
export async function drop(places: readonly string[], options: DropOptions, io: Io): Promise<number> {
  const isWanted = filterOf(options, places)
  const isMeant = (letter: Letter) => letter.mark === undefined && isWanted(letter)
  return atDesk(atPlaces(options, places), io, async (desk) => {
    const { count, lines } = await told(desk, isMeant)
    io.stdout.write(desk.prepared.redact(`${[...lines, `${countText(count, 'letter')} to drop`].join('\n')}\n`))
    if (count === 0) return exitCodes.ok
    if (options.yes !== true && !(await agreed(`drop ${countText(count, 'letter')}?`, io))) return exitCodes.failed
    return audited(desk, deedOf('dlq.drop', places, options, desk), io, async (tell) => {
      const dropped = await marked(desk, isMeant)
      tell({ letters: dropped })
      io.stdout.write(
        `${countText(dropped, 'letter')} marked as dropped: they lie in their topic as before, and weir dlq replay --again takes them all the same\n`,
      )
      return exitCodes.ok
    })
  })
}

async function told({ topics, io }: Desk, isMeant: LetterFilter) {
  const tally = new Tally()
  let count = 0
  for await (const letters of allLetters(topics)) {
    for (const letter of letters.filter(isMeant)) {
      const { flow, stage, code } = letter.facts
      tally.add([letter.topic, flow, stage, code].filter(Boolean).join(', '), letter)
      count++
    }
  }
  return { count, lines: tally.text(io) }
}

async function marked({ topics }: Desk, isMeant: LetterFilter): Promise<number> {
  let count = 0
  for (const topic of topics) {
    const marking = new Marking(topic)
    try {
      for await (const letters of marking.open())
        for (const letter of letters.filter(isMeant))
          await marking.mark(letter, { state: 'dropped', at: new Date().toISOString() })
      await marking.end()
      count += marking.committed
    } finally {
      await marking.close()
    }
  }
  return count
}
