import {
  beginMaking,
  type ClientError,
  type ClientSettings,
  call,
  codes,
  disconnect,
  isClosing,
  type KafkaConsumer,
  type Producer,
} from './client.js'
import { isRefusal } from './errors.js'
import { certificateFault, describedCertificate } from './tls-probe.js'

/** What the client writes to its log, where it tells what it tells nowhere else. */
interface LogLine {
  readonly message: string
}

const untrusted = /certificate verify failed/i
/** A broker says so of the certificate that a client shows, or does not. */
const untaken = /SSL alert number (4[2-9]|116)\b/

const failures: readonly (readonly [RegExp, number])[] = [
  [
    /authentication (failed|error|failure)|SaslAuthentication|SASL \S+ mechanism handshake failed/i,
    codes.authentication,
  ],
  [/certificate verify failed|SSL handshake failed|SSL_HANDSHAKE/i, codes.ssl],
  [/connecting to a (SSL|PLAINTEXT|SASL)\S* (broker )?listener/i, codes.ssl],
  [untaken, codes.ssl],
  // A port that wants TLS hangs up at the first plain word, and one that wants a login at the first question; so does what
  // stands before a broker that is down.
  [/closed by peer.*(APIVERSION_QUERY|in state UP)|while requesting ApiVersion/i, codes.hungUp],
]
const foreign = /reports different ClusterId "([^"]*)" than previously known "([^"]*)"/
/** How long it may take until one that hung up is there after all, ms. */
const hungUpMs = 1_000

const shortStepsMs = [500, 1_000]

/** What a message of the client means; its errors bear no code but -1. */
export function failureIn(message: string): (Error & ClientError) | undefined {
  const code = failures.find(([pattern]) => pattern.test(message))?.[1]
  if (code === undefined) return undefined
  // "[thrd:ssl://host:9093/bootstrap]: ssl://host:9093/bootstrap: what": a thread, a broker, and then what happened.
  const [, broker, what = message] =
    /^(?:\[thrd:.*?\]: )?(?:(?:\w+:\/\/)?(\S+?:\d+)(?:\/\S*)?: )?(.*)$/s.exec(message) ?? []
  return failureOf(what, code, broker)
}

/** As the client reports it. */
export function failureOf(message: string, code: number, broker?: string): Error & ClientError {
  return Object.assign(new Error(message), { code, broker })
}

/** The same error of a connected client, with the code that its message tells. A handshake may fail for a passing reason. */
export function coded(error: ClientError): ClientError {
  if (isRefusal(error)) return error
  const failure = failureIn(error.message)
  const isCertain =
    failure?.code === codes.authentication || [untrusted, untaken].some((one) => one.test(error.message))
  return failure !== undefined && isCertain ? failure : error
}

/** Tells, once, that another cluster answers than the one that this client knew, which it goes on with by itself. */
export function onForeignCluster(client: KafkaConsumer | Producer, told: (error: ClientError & Error) => void): void {
  // Both are the same client inside.
  ;(client as Producer).on('event.log', ({ message }: LogLine) => {
    const [, now, before] = foreign.exec(message) ?? []
    if (now === undefined) return
    const error = new Error(`cluster ${now} answers, where ${before} has until now`)
    told(Object.assign(error, { code: codes.foreignCluster }))
  })
}

/**
 * Tells, once, when a client that is connected is refused as it connects again: with what it was made with it would go on
 * trying for ever, and most say nothing.
 */
export function onRefusal(given: KafkaConsumer | Producer, told: (refusal: ClientError) => void): void {
  const client = given as Producer
  const hear = ({ message }: LogLine) => {
    const error = coded({ code: codes.transport, message })
    if (!isRefusal(error)) return
    client.removeListener('event.log', hear)
    client.removeListener('event.error', hear)
    told(error)
  }
  client.on('event.log', hear)
  client.on('event.error', hear)
}

/**
 * Connects a client that was made with these settings. Errors with what keeps it from that, as soon as it is known: a login
 * that is refused, a certificate that does not hold, one end that speaks TLS where the other does not; otherwise with what the
 * client says when no broker answers in time, which is all that it would say by itself. Errors too when it is closed meanwhile.
 * One that could not connect is closed.
 */
export async function connectClient(
  given: KafkaConsumer | Producer,
  settings: ClientSettings,
  timeoutMs: number,
): Promise<void> {
  // Both are the same client inside.
  const client = given as Producer
  let failure: (Error & ClientError) | undefined
  let patience: NodeJS.Timeout | undefined
  let tell: (failure: Error) => void
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
  const made = beginMaking(given)
  const closed = () => failureOf('the client was closed while it connected', codes.wrongState)
  const isOver = asksInSteps(client, timeoutMs, made, () => tell(closed()))
  try {
    await Promise.race([failed, call((done) => client.connect({ timeout: timeoutMs, allTopics: false }, done))])
    if (isClosing(given)) throw closed()
  } catch (error) {
    void disconnect(given)
    throw await explained(failure ?? (error as Error & ClientError), settings)
  } finally {
    made()
    isOver()
    clearTimeout(patience)
    client.removeListener('event.log', hear)
    client.removeListener('event.error', hear)
  }
}

/**
 * To connect, a client asks a broker for metadata, and until its time is up holds one of the few threads that all clients
 * share, whatever it has been told meanwhile; so it shall ask in steps. The last one is long, for brokers may be slow.
 * The first question says that the client is made, and one that was answered in vain, where nobody waits for it any more, that
 * it is closed. Returns what ends it.
 */
function asksInSteps(client: Producer, timeoutMs: number, made: () => void, closed: () => void): () => void {
  const deadline = performance.now() + timeoutMs
  const steps = [...shortStepsMs]
  const { getMetadata } = client
  let isOver = false
  const ask = (done: Parameters<Producer['getMetadata']>[1]) => {
    made()
    const restMs = Math.max(1, deadline - performance.now())
    const timeout = Math.min(restMs, steps.shift() ?? restMs)
    getMetadata.call(client, { timeout, allTopics: false } as never, (error, metadata) => {
      // Told of an error, the client would close itself, beside who closes it already; and it can't be asked any more.
      if (error && (isOver || isClosing(client))) closed()
      else if (error && performance.now() < deadline) ask(done)
      else done?.(error, metadata)
    })
  }
  client.getMetadata = (_, done) => ask(done)
  return () => {
    isOver = true
    Reflect.deleteProperty(client, 'getMetadata')
  }
}

/** The same error, and where certificates are refused, why: those who refuse them say no more than that. */
export async function explained(error: Error & ClientError, settings: ClientSettings): Promise<Error & ClientError> {
  const { code, message, broker } = error
  if (untaken.test(message)) return failureOf(`it ${refusalOf(settings)}: ${message}`, code, broker)
  if (broker === undefined || !untrusted.test(message)) return error
  const fault = await certificateFault(broker, settings)
  return fault === undefined ? error : failureOf(`certificate verify failed: ${fault}`, code, broker)
}

function refusalOf({ 'ssl.certificate.pem': own }: ClientSettings): string {
  if (typeof own !== 'string') return 'asks for a certificate of this client, and there is none'
  return `does not take the certificate of this client, ${describedCertificate(own)}`
}
