/** The same windows as a flow. It has to have the results of all windows out that can be closed; the last stay open. */
import { report } from '../support/report.js'
import { runFlow } from '../support/run-flow.js'
import { config, results } from '../support/windows-config.js'

const { EVENTS = '0', WINDOWS = '0' } = process.env
const total = Number(EVENTS)

const ms = await runFlow(config, total, () => results.windows >= Number(WINDOWS))
report({ recordsPerSecond: Math.round((total / ms) * 1_000), ...results })
process.exit(0)
