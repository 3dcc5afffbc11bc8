import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Certificate {
  readonly cert: string
  /** PKCS#8. */
  readonly key: string
}

const local = 'DNS:localhost,IP:127.0.0.1'

/** A certificate that signs itself, in PEM, for `localhost` and 127.0.0.1. Nobody trusts it who is not told to. */
export function selfSigned(names = local): Certificate {
  return inFolder((folder) => {
    const about = ['-subj', '/CN=localhost', '-addext', `subjectAltName=${names}`]
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'key.pem', '-out', 'cert.pem', ...about)(folder)
    return read(folder)
  })
}

export interface Issue {
  readonly name?: string
  /** As `subjectAltName` has them. */
  readonly names?: string
  /** For how long it holds, from now on. */
  readonly days?: number
  /** With which the key is encrypted. */
  readonly passphrase?: string
}

/** Signs certificates for tests, each with its own chain of one. */
export class Authority {
  private readonly own: Certificate

  constructor(name = 'authority') {
    this.own = inFolder((folder) => {
      const about = ['-subj', `/CN=${name}`]
      openssl('req', '-x509', ...newKey, '-nodes', '-keyout', 'key.pem', '-out', 'cert.pem', ...about)(folder)
      return read(folder)
    })
  }

  get cert(): string {
    return this.own.cert
  }

  issue({ name = 'localhost', names = local, days = 2, passphrase }: Issue = {}): Certificate {
    return inFolder((folder) => {
      for (const [file, text] of Object.entries({
        'ca.pem': this.own.cert,
        'ca.key': this.own.key,
        'names.txt': `subjectAltName=${names}\n`,
      }))
        writeFileSync(join(folder, file), text)
      const secrecy = passphrase === undefined ? ['-nodes'] : ['-passout', `pass:${passphrase}`]
      const wish = [...newKey, '-keyout', 'key.pem', '-out', 'wish.pem', '-subj', `/CN=${name}`]
      openssl('req', ...wish, ...secrecy)(folder)
      const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', String(days), '-extfile', 'names.txt']
      openssl('x509', '-req', '-in', 'wish.pem', '-out', 'cert.pem', ...by)(folder)
      return read(folder)
    })
  }
}

/** Made in no time, unlike RSA's. */
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']

const openssl =
  (...args: string[]) =>
  (folder: string) =>
    execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })

function read(folder: string): Certificate {
  const [cert, key] = ['cert.pem', 'key.pem'].map((file) => readFileSync(join(folder, file), 'utf8')) as [
    string,
    string,
  ]
  return { cert, key }
}

function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'weir-certificate-'))
  try {
    return work(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
