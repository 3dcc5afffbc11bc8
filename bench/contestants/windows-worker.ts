/** One of the processes that share the windows of a topic. */
import { sharedNow } from '../support/member.js'
import { runMember, tell } from '../support/run-member.js'
import { config, results } from '../support/windows-config.js'

const { TOPIC = '' } = process.env

let events = 0
let told = 0

const engine = runMember(config, {
  epoch({ flow: name, part, records }) {
    const read = part === name ? records : 0
    // What an internal topic carries besides is no progress: records of the source and results are.
    if (read === 0 && results.windows === told) return
    events += read
    told = results.windows
    tell({ events, results, committedAt: sharedNow() })
  },
})

/** The part that reads the topic: what the other one reads first are announcements, long before there is any event. */
const reading = () => engine.status().filter(({ partitions }) => partitions.some(({ topic }) => topic === TOPIC))

setInterval(() => {
  const assigned = reading().flatMap(({ partitions }) => partitions.filter(({ topic }) => topic === TOPIC))
  tell({ assigned: assigned.length })
}, 100)

/** Both timers are needed: this one has to be exact, and ends with the first record. */
const looking = setInterval(() => {
  if (!reading().some(({ stages }) => stages.some((stage) => stage.out > 0))) return
  clearInterval(looking)
  tell({ beganAt: sharedNow() })
}, 1)
