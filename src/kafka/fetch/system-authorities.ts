import { readFileSync } from 'node:fs'

/** Where systems keep the authorities that they trust, as one file; the client looks there too. */
const places = [
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/certs/ca-bundle.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
  '/etc/ssl/certs/ca-certificates.crt',
  '/usr/local/etc/ssl/cert.pem',
  '/usr/local/share/certs/ca-root-nss.crt',
  '/etc/openssl/certs/ca-certificates.crt',
]

/** The authorities that this system trusts, as PEM. Node's own where it has no such file. */
export function systemAuthorities(): string | undefined {
  for (const place of places)
    try {
      return readFileSync(place, 'utf8')
    } catch {}
  return undefined
}
