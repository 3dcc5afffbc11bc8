import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { messageOf, timeText } from '../model/index.js'

/** Certificates and a key: each as its text, or as the file that has it. */
export interface PemOptions {
  readonly ca?: string | undefined
  readonly caFile?: string | undefined
  readonly cert?: string | undefined
  readonly certFile?: string | undefined
  readonly key?: string | undefined
  readonly keyFile?: string | undefined
  readonly passphrase?: string | undefined
}

export type Pems = { readonly [K in 'ca' | 'cert' | 'key']?: string | undefined }

/** What is wrong with one of the options. */
export interface PemFault {
  readonly option: keyof PemOptions
  readonly message: string
}

type Part = keyof Pems

const certificates = /-----BEGIN (X509 |)CERTIFICATE-----[\s\S]+?-----END \1CERTIFICATE-----/g
const privateKeys = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]+?-----END \1-----/g

/**
 * What the options give, the files as they are now, and what a client could not use of it. `now` is in ms since the Unix
 * epoch.
 */
export function readPems(
  options: PemOptions,
  now: number,
): { readonly pems: Pems; readonly faults: readonly PemFault[] } {
  const reading = new PemReading(options)
  const [ca, cert, key] = [reading.text('ca'), reading.text('cert'), reading.text('key')]
  reading.judgeAuthorities(ca, now)
  reading.judgeIdentity(cert, key, now)
  return { pems: { ca, cert, key }, faults: reading.faults }
}

class PemReading {
  readonly faults: PemFault[] = []

  constructor(private readonly options: PemOptions) {}

  /** Nothing but what is PEM: before it there may be a byte order mark, which the client does not know. */
  text(part: Part): string | undefined {
    const { [part]: given, [`${part}File` as const]: file } = this.options
    if (given !== undefined && file !== undefined) this.refuse(`${part}File`, `is given beside ${part}: leave one out`)
    const text = given ?? (file === undefined ? undefined : this.read(`${part}File`, file))
    const [what, pattern] = part === 'key' ? ['private key', privateKeys] : ['certificate', certificates]
    const found = text?.match(pattern)?.join('\n')
    if (text !== undefined && found === undefined)
      this.refuse(this.optionOf(part), `has no ${what} in PEM ('-----BEGIN …'): openssl makes it of other formats`)
    return found
  }

  /** One that holds is enough: bundles keep those that were. */
  judgeAuthorities(ca: string | undefined, now: number): void {
    const parsed = this.parsed('ca', ca)
    const faults = parsed.map((one) => validityFault(one, now))
    const [first] = faults
    if (first !== undefined && !faults.includes(undefined)) this.refuse(this.optionOf('ca'), first)
  }

  judgeIdentity(cert: string | undefined, key: string | undefined, now: number): void {
    const [own] = this.parsed('cert', cert)
    const fault = own === undefined ? undefined : validityFault(own, now)
    if (fault !== undefined) this.refuse(this.optionOf('cert'), fault)
    const secret = key === undefined ? undefined : this.opened(key)
    if (own === undefined || secret === undefined || own.checkPrivateKey(secret)) return
    this.refuse(this.optionOf('key'), `is not the key of the certificate of ${this.optionOf('cert')}`)
  }

  private read(option: keyof PemOptions, file: string): string | undefined {
    try {
      return readFileSync(file, 'utf8')
    } catch (error) {
      this.refuse(option, `can't be read: ${messageOf(error)}`)
      return undefined
    }
  }

  private parsed(part: Part, text: string | undefined): readonly X509Certificate[] {
    try {
      return (text?.match(certificates) ?? []).map((one) => new X509Certificate(one))
    } catch (error) {
      this.refuse(this.optionOf(part), `has a certificate that can't be read: ${messageOf(error)}`)
      return []
    }
  }

  private opened(key: string): KeyObject | undefined {
    const { passphrase } = this.options
    const isEncrypted = key.includes('ENCRYPTED')
    if (isEncrypted && passphrase === undefined) {
      this.refuse('passphrase', `is missing: the key of ${this.optionOf('key')} is encrypted`)
      return undefined
    }
    try {
      return createPrivateKey({ key, ...(isEncrypted ? { passphrase } : {}) })
    } catch (error) {
      if (isEncrypted) this.refuse('passphrase', `does not open the key of ${this.optionOf('key')}`)
      else this.refuse(this.optionOf('key'), `has a key that can't be read: ${messageOf(error)}`)
      return undefined
    }
  }

  private optionOf(part: Part): keyof PemOptions {
    return this.options[part] === undefined ? `${part}File` : part
  }

  private refuse(option: keyof PemOptions, message: string): void {
    this.faults.push({ option, message })
  }
}

function validityFault({ validFrom, validTo }: X509Certificate, now: number): string | undefined {
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)]
  if (to < now) return `expired at ${timeText(to)}: put a new certificate in its place`
  return from > now ? `holds only from ${timeText(from)} on: check the clock of this machine` : undefined
}
