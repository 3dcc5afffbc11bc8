import { readFileSync } from 'node:fs'
import type { ClientConfig } from 'pg'
import { definedOnly } from '../sql/index.js'

/** What a URL says about TLS. */
export interface UrlTls {
  /** As it says it; undefined when it says nothing. */
  readonly said?: string
  readonly ssl?: ClientConfig['ssl']
  /** Why that can't be followed. */
  readonly fault?: string
}

const parameters = ['sslmode', 'ssl', 'sslcert', 'sslkey', 'sslrootcert', 'sslnegotiation', 'uselibpqcompat']

/** Modes in which libpq would take any certificate, or none; here whoever asks for TLS gets a server that proves itself. */
const verifying = ['prefer', 'require', 'verify-ca', 'verify-full']
const flags: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false }

/**
 * Reads the parameters of a URL that are about TLS. The driver would let them override the `ssl` option in silence, and
 * means to change what they mean in its next version.
 */
export function tlsOfUrl(url: string): UrlTls {
  const given = parametersOf(url)
  const first = given[0]
  if (first === undefined) return {}
  const said = `${first[0]}=${first[1]}`
  const { sslmode: mode, ssl: flag, sslcert, sslkey, sslrootcert, ...others } = Object.fromEntries(given)
  const [other] = Object.keys(others)
  if (other !== undefined) return { said, fault: `\`${other}\` is not understood: use sslmode, or the option \`ssl\`` }
  if (flag !== undefined && mode !== undefined)
    return { said, fault: 'it has both `ssl` and `sslmode`: leave one of them out' }
  if (flag !== undefined && flags[flag] === undefined) return { said, fault: `ssl=${flag} is neither true nor false` }
  if (mode === 'disable' || flags[flag ?? ''] === false) return { said, ssl: false }
  if (mode === 'no-verify') return { said, ssl: { rejectUnauthorized: false } }
  if (mode !== undefined && !verifying.includes(mode))
    return { said, fault: `sslmode=${mode} is none of disable, no-verify, ${verifying.join(', ')}` }
  try {
    const [cert, key, ca] = [sslcert, sslkey, sslrootcert].map((file) => file && readFileSync(file, 'utf8'))
    return { said, ssl: definedOnly({ cert, key, ca }) }
  } catch (error) {
    return { said, fault: (error as Error).message }
  }
}

/** The URL without what it says about TLS. */
export function withoutTls(url: string): string {
  const start = url.indexOf('?')
  if (start === -1 || parametersOf(url).length === 0) return url
  const kept = url
    .slice(start + 1)
    .split('&')
    .filter((pair) => !parameters.includes(pair.split('=')[0] ?? ''))
  return kept.length === 0 ? url.slice(0, start) : `${url.slice(0, start)}?${kept.join('&')}`
}

function parametersOf(url: string): [string, string][] {
  const start = url.indexOf('?')
  if (start === -1) return []
  return [...new URLSearchParams(url.slice(start + 1))].filter(([name]) => parameters.includes(name))
}
