import { createHash } from 'node:crypto'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'

const made = new Map<string, SecureContext>()
/** As many as a process has connections, and for a while those with the certificates before. */
const most = 16

/** To read a system's authorities takes 30 ms, in which nothing else happens; so who gives the same gets what was made of it. */
export function secureContext(options: SecureContextOptions): SecureContext {
  const name = createHash('sha256').update(JSON.stringify(options)).digest('base64')
  const context = made.get(name) ?? createSecureContext(options)
  made.delete(name)
  made.set(name, context)
  const [oldest = name] = made.keys()
  if (made.size > most) made.delete(oldest)
  return context
}
