import { sink } from '../sinks/webhook.js'

/** What other systems are told over HTTP: `webhook.sink`. */
export const webhook = { sink }
