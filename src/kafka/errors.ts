import { type ErrorCode, type ErrorPlace, WeirError } from '../model/index.js'
import { type ClientError, codes } from './client.js'
import { isAbsent, isTooLarge, refusalOf } from './faults.js'

const logins: readonly number[] = [codes.authentication, codes.saslFailed]
const rights: readonly number[] = [codes.topicRefused, codes.groupRefused, codes.clusterRefused]
const fences: readonly number[] = [codes.fenced, codes.invalidProducerEpoch, codes.producerFenced]
const absences: readonly number[] = [codes.transport, codes.allBrokersDown, codes.timedOut, codes.messageTimedOut]

/** Whether trying again can't help: a login or a right that the broker refused, or a client that gave up. */
export function isHopeless(error: ClientError): boolean {
  return isFatal(error) || isForeign(error) || error.code === codes.fencedInstance || isRefusal(error)
}

/** Whether the client gave up for good. */
export function isFatal({ isFatal, code }: ClientError): boolean {
  return isFatal === true || code === codes.fatal
}

/** Whether another cluster answers than before. */
function isForeign({ code }: ClientError): boolean {
  return code === codes.foreignCluster
}

/** Whether the broker refused a login, a certificate or a right. */
export function isRefusal(error: ClientError): boolean {
  return logins.includes(error.code) || rights.includes(error.code) || error.code === codes.ssl
}

/** Whether a position is not, or no longer, in its partition. */
export function isStray(error: ClientError): boolean {
  return error.code === codes.noOffset || error.code === codes.logTruncated
}

/**
 * Whether another producer took over the transactional id: whatever this one still does can't count. Where the client
 * calls it fatal only, it does not tell it from the other ways in which the brokers disown a producer.
 */
export function isFenced(error: ClientError): boolean {
  return error.isFatal === true || error.code === codes.fatal || fences.includes(error.code)
}

/** Says what the client's error means, and what to do about it. `doing` is 'reading topic 'orders' of flow 'billing''. */
export function kafkaError(
  code: ErrorCode,
  doing: string,
  error: ClientError | Error,
  place: ErrorPlace & { address?: string } = {},
): WeirError {
  const { address, ...where } = place
  const { what, hint } = explain(error as ClientError, address)
  if (isForeign(error as ClientError))
    return new WeirError('WEIR_CLUSTER_FOREIGN', `${doing}: ${what}`, { ...where, hint, cause: error })
  // Whoever wants the topic looks for it when it is opened, and makes it where it may.
  const remedy = isAbsent(error as ClientError) ? ({ remedy: 'restart' } as const) : {}
  return new WeirError(code, `${doing}: ${what}`, { ...where, ...remedy, hint, cause: error })
}

/** A message was refused for what it is. */
export function kafkaRefusal(doing: string, error: ClientError, place: ErrorPlace): WeirError {
  const why = refusalOf(error, true)
  return new WeirError('WEIR_RECORD_REFUSED', `${doing}: ${error.message}${why === undefined ? '' : `: ${why}`}`, {
    ...place,
    isTooLarge: isTooLarge(error),
    cause: error,
  })
}

/** A request was refused for the sake of one of its messages, and the next try tells which one. */
export function searchError(doing: string, error: ClientError, place: ErrorPlace): WeirError {
  return new WeirError(
    'WEIR_SINK_FAILED',
    `${doing}: a request was refused for one of its messages: ${error.message}`,
    {
      ...place,
      hint: 'Each is sent alone, to find it.',
      atOnce: true,
      cause: error,
    },
  )
}

function loginHint(message: string): string {
  if (/not valid in current SASL state/.test(message))
    return "This port asks for no login: leave the connection's sasl option out."
  if (/Unsupported SASL mechanism/.test(message))
    return "Set the mechanism of the connection's sasl option to one that the brokers have enabled."
  return "Check mechanism, username and password of the connection's sasl option."
}

function tlsHint(message: string): string {
  if (/certificate of this client|SSL alert number/.test(message))
    return "Give one that the brokers' authorities have signed as cert and key of the connection's ssl option, or as files."
  if (/expired at|holds only from|has expired/.test(message))
    return 'Give the broker a certificate that holds, or see to the clock of this machine.'
  if (/, and not for /.test(message))
    return 'Name the broker as its certificate does, in the brokers option and in its advertised.listeners, or have that name put into the certificate.'
  if (/certificate verify failed/i.test(message))
    return "The certificate is not trusted: give the authority that signed it as the ca of the connection's ssl option, or caFile."
  if (/connecting to a PLAINTEXT|closed by peer.*SSL_HANDSHAKE/i.test(message))
    return "This port speaks no TLS: leave the connection's ssl option out."
  if (/connecting to a SSL/i.test(message)) return "This port wants TLS: set the connection's ssl option."
  return "Check the connection's ssl option."
}

function explain(error: ClientError, address: string | undefined): { what: string; hint: string } {
  const of = error.broker ?? address
  const brokers = of === undefined ? 'the broker' : `broker ${of}`
  if (logins.includes(error.code)) {
    return { what: `${brokers} refused the login (${error.message})`, hint: loginHint(error.message) }
  }
  if (isForeign(error)) {
    return {
      what: `behind ${address === undefined ? 'the address' : address} ${error.message}`,
      hint: 'Lead the address back to that. To go on with the other one, start the process anew: it takes the cluster that it finds.',
    }
  }
  if (error.code === codes.ssl) {
    return {
      what: `${brokers} and this process could not agree on TLS (${error.message})`,
      hint: tlsHint(error.message),
    }
  }
  if (error.code === codes.fencedInstance) {
    return {
      what: `another process of the same name joined the group, and took this one's place (${error.message})`,
      hint: 'Give each process a WEIR_INSTANCE_ID of its own, or none.',
    }
  }
  if (error.code === codes.unusable) {
    return { what: error.message, hint: 'It is tried again, with what there is then.' }
  }
  if (error.code === codes.hungUp) {
    const [when, wants] = error.message.includes('in state UP')
      ? ['at the first question', "A port that wants a login does that: set the connection's sasl option"]
      : ['at the first word', "A port that wants TLS does that: set the connection's ssl option"]
    return {
      what: `${brokers} hung up ${when} (${error.message})`,
      hint: `${wants}; or else see whether the broker runs.`,
    }
  }
  if (error.code === codes.stuck) {
    return {
      what: error.message,
      hint: 'It is tried again. A topic takes nothing while fewer replicas are in sync than its min.insync.replicas; where all are, see to quotas and the network.',
    }
  }
  if (error.code === codes.badMessage) {
    return {
      what: error.message,
      hint: 'It is fetched again. If that goes on, the log of its leader is damaged: let another replica lead, or have it repaired.',
    }
  }
  if (error.code === codes.unreadable) {
    return { what: error.message, hint: 'It is read through the client from now on.' }
  }
  if (isAbsent(error)) {
    return {
      what: `the topic is gone (${error.message})`,
      hint: 'It is looked for again, and made where that is allowed.',
    }
  }
  if (error.code === codes.concurrentTransactions) {
    return {
      what: `the brokers have not ended the transaction before it (${error.message})`,
      hint: 'It is tried again. They end none while a partition that it wrote to has too few replicas in sync.',
    }
  }
  if (rights.includes(error.code)) {
    return {
      what: `${brokers} does not allow it (${error.message})`,
      hint: "Check the rights of the connection's user.",
    }
  }
  if (absences.includes(error.code)) {
    return {
      what: `${brokers} does not answer (${error.message})`,
      hint: "Check that it runs, and the connection's brokers option.",
    }
  }
  return { what: error.message, hint: `The client's code is ${error.code}.` }
}
