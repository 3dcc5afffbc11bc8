import { quoting } from '../sql/index.js'

export const { quoted, quotedTable } = quoting('"')
