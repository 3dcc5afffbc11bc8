import { type ClientError, call, codes, type KafkaConsumer, type Producer } from './client.js'
import { isRefusal } from './errors.js'

/** What the client writes to its log, where it tells what it tells nowhere else. */
interface LogLine {
  readonly message: string
}

const failures: readonly (readonly [RegExp, number])[] = [
  [/authentication (failed|error|failure)|SaslAuthentication/i, codes.authentication],
  [/certificate verify failed|SSL handshake failed|SSL_HANDSHAKE/i, codes.ssl],
  [/connecting to a (SSL|PLAINTEXT|SASL)\S* (broker )?listener/i, codes.ssl],
  // A port that wants TLS hangs up at the first plain word; so does what stands before a broker that is down.
  [/closed by peer.*APIVERSION_QUERY|while requesting ApiVersion/i, codes.hungUp],
]
/** How long it may take until one that hung up is there after all, ms. */
const hungUpMs = 1_000

/** What a message of the client means; its errors bear no code but -1. */
export function failureIn(message: string): ClientError | undefined {
  const code = failures.find(([pattern]) => pattern.test(message))?.[1]
  if (code === undefined) return undefined
  // "[thrd:ssl://host:9093/bootstrap]: ssl://host:9093/bootstrap: what": a thread, a broker, and then what happened.
  return { code, message: message.replace(/^(\[[^\]]*\]: )?(\S+:\/\/\S+: )?/, '') }
}

/** The same error of a connected client, with the code that its message tells. A handshake may fail for a passing reason. */
export function coded(error: ClientError): ClientError {
  if (isRefusal(error)) return error
  const failure = failureIn(error.message)
  const isCertain = failure?.code === codes.authentication || /certificate verify failed/i.test(error.message)
  return failure !== undefined && isCertain ? failure : error
}

/**
 * Connects a client. Errors with what keeps it from that, as soon as it is known: a login that is refused, a certificate that
 * is not trusted, one end that speaks TLS where the other does not; and with what the client says when no broker answers in
 * time. The client itself would only say that.
 */
export async function connectClient(given: KafkaConsumer | Producer, timeoutMs: number): Promise<void> {
  // Both are the same client inside.
  const client = given as Producer
  let failure: ClientError | undefined
  let patience: NodeJS.Timeout | undefined
  let tell: (failure: ClientError) => void
  const failed = new Promise<never>((_, reject) => {
    tell = reject
  })
  failed.catch(() => undefined)
  const hear = ({ message }: LogLine) => {
    failure ??= failureIn(message)
    if (failure === undefined) return
    if (failure.code === codes.hungUp) patience ??= setTimeout(tell, hungUpMs, failure)
    else tell(failure)
  }
  client.on('event.log', hear)
  client.on('event.error', hear)
  try {
    await Promise.race([failed, call((done) => client.connect({ timeout: timeoutMs, allTopics: false }, done))])
  } catch (error) {
    throw failure ?? error
  } finally {
    clearTimeout(patience)
    client.removeListener('event.log', hear)
    client.removeListener('event.error', hear)
  }
}
