import { sink } from '../sinks/archive.js'

/** Files of events: `archive.sink`. */
export const archive = { sink }
