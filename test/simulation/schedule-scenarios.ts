import { flow, type ScheduledRun, schedule } from '../../src/index.js'
import { type Accounting, type Fault, faults, type SimulatedInput } from '../../src/testing/index.js'
import { type Scenario, table } from './visits.js'

const everySec = 10
/** The first that is due when nothing goes wrong any more, and nobody waits since then, s after the start. */
const [fromSec, toSec] = [80, 130]
const atSec = (second: number) => new Date(Date.UTC(2024, 0, 1, 0, 0, second)).toISOString()

const runs: Accounting<ScheduledRun> = { idOf: ({ at }) => at, idsOf: ({ at }: ScheduledRun) => [at] }

/** Of those that come due while things go wrong some may rightly be left out. */
function laterRuns(): SimulatedInput<ScheduledRun>[] {
  return Array.from({ length: (toSec - fromSec) / everySec + 1 }, (_, index) => {
    return { value: { at: atSec(fromSec + index * everySec) } }
  })
}

const scheduled = flow(schedule({ cron: `*/${everySec} * * * * *` }), table<ScheduledRun>())
const allButClock = (Object.keys(faults) as Fault[]).filter((fault) => fault !== 'clock')

/** Each process has the schedule to itself, and takes it from the others. */
export const scheduleScenarios: readonly Scenario[] = [
  {
    name: 'runs of a schedule, in processes that end again and again',
    flow: scheduled,
    options: { input: laterRuns, accounts: runs, faults: allButClock, restartEvery: '3s', every: '1s' },
  },
  {
    name: 'runs of a schedule, by clocks that jump',
    flow: scheduled,
    options: { input: () => [], accounts: runs, every: '1s' },
  },
]
