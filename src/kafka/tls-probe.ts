import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { systemClock, timeText } from '../model/index.js'
import type { ClientSettings } from './client.js'

const answerMs = 2_000
/** Names in a certificate are whatever who made it liked. */
const longestName = 100

/**
 * Why the certificate of a broker (`host:port`) does not hold, in words: the client says the same of one that has expired, is
 * for another host, or is signed by a stranger. Undefined where it would hold, or nobody shows one in 2 s.
 */
export function certificateFault(broker: string, settings: ClientSettings): Promise<string | undefined> {
  const [, host = '', port = '0'] = /^\[?(.+?)\]?:(\d+)$/.exec(broker) ?? []
  const checksName = settings['ssl.endpoint.identification.algorithm'] !== 'none'
  return new Promise((resolve) => {
    const socket = connect({
      host,
      port: Number(port),
      ca: settings['ssl.ca.pem'] as string | undefined,
      // It is looked at, and nothing is said to whoever has it.
      rejectUnauthorized: false,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(checksName ? {} : { checkServerIdentity: () => undefined }),
    })
    const end = (fault?: string) => {
      clearTimeout(patience)
      socket.destroy()
      resolve(fault)
    }
    const patience = setTimeout(end, answerMs)
    socket.once('error', () => end())
    socket.once('secureConnect', () => end(faultOf(socket, host)))
  })
}

function faultOf(socket: TLSSocket, host: string): string | undefined {
  const { valid_from: from, valid_to: to, subject, issuer, subjectaltname } = socket.getPeerCertificate()
  // Not an error, as the types have it, but its code.
  const code = socket.authorizationError as unknown as string | null | undefined
  switch (code ?? undefined) {
    case undefined:
      return undefined
    case 'CERT_HAS_EXPIRED':
      if (Date.parse(to) > systemClock.now()) return 'one of those that have signed it has expired'
      return `it expired at ${timeText(Date.parse(to))}`
    case 'CERT_NOT_YET_VALID':
      return `it holds only from ${timeText(Date.parse(from))} on`
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `it is for ${shown(subjectaltname ?? subject.CN)}, and not for ${host}`
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return 'it is signed by itself, and not trusted'
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return `it is signed by ${shown(issuer.CN)}, which is not trusted`
    default:
      return code ?? undefined
  }
}

/** Whose it is and who has signed it, in words. */
export function describedCertificate(pem: string): string {
  const { subject, issuer } = new X509Certificate(pem)
  const [whose, by] = [subject, issuer].map((name) => shown(name.replaceAll('\n', ', ')))
  return `'${whose}', signed by '${by}'`
}

function shown(name: string | readonly string[] | undefined): string {
  return name === undefined ? 'nobody' : String(name).slice(0, longestName)
}
