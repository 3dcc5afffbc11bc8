import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { messageOf } from '../../model/index.js'
import { version } from '../../model/version.js'
import { type ClientError, codes } from '../client.js'
import { explained, failureOf } from '../connecting.js'
import { Frames, NoFrame } from './frames.js'
import { type Address, addressText, type LaneSettings } from './lane-settings.js'
import { type Api, correlationOf, decodeAnswer, encodeRequest } from './protocol/api.js'
import { apiVersions, unsupportedVersion } from './protocol/api-versions.js'
import { MalformedError } from './protocol/malformed.js'
import { saslAuthenticate } from './protocol/sasl-authenticate.js'
import { saslHandshake } from './protocol/sasl-handshake.js'

type Failure = Error & ClientError

/** What was asked, and not answered yet. */
interface Asked {
  readonly id: number
  readonly timer: NodeJS.Timeout
  answer(bytes: Buffer): void
  fail(error: Failure): void
}

/** How far a connection has come: what it means that the other end hangs up depends on that. */
type Phase = 'address' | 'TLS' | 'greeting' | 'login' | 'first question' | 'open'

const loginFaults: Readonly<Record<number, string>> = {
  33: 'Unsupported SASL mechanism',
  34: 'Request not valid in current SASL state',
}
/** So much of the time that a login holds may pass before it is made anew; brokers take one a second at most. */
const [renewAfter, leastRenewalMs] = [0.8, 1_100]
const longestTimerMs = 2 ** 31 - 1

/**
 * One socket to one broker. Requests may follow each other unanswered: brokers answer in the order in which they are asked.
 * Every error is the last: the socket is closed, and what is not answered fails with it.
 */
export class BrokerConnection {
  /** Called when it is lost that was open, with the reason; not when it is closed. */
  onLost: (error: ClientError & Error) => void = () => undefined
  private readonly broker: string
  private readonly frames: Frames
  private readonly asked: Asked[] = []
  private phase: Phase = 'address'
  private socket: Socket | undefined
  private spoken: ReadonlyMap<number, readonly [oldest: number, newest: number]> = new Map()
  private lastId = 0
  private failure: Failure | undefined
  private giveUp: (error: Failure) => void = () => undefined
  private renewal: NodeJS.Timeout | undefined
  /** While the login is made anew brokers take nothing else. */
  private renewing: Promise<void> | undefined

  constructor(
    private readonly address: Address,
    private readonly settings: LaneSettings,
  ) {
    this.broker = addressText(address)
    this.frames = new Frames(settings.mostBytes, (frame) => this.answered(frame))
  }

  get isOpen(): boolean {
    return this.failure === undefined && (this.phase === 'first question' || this.phase === 'open')
  }

  /**
   * Connects, agrees on TLS and on versions, and logs in. Errors: `ClientError` with the codes and texts of `connectClient`;
   * within the time for that, and at most 2 s more where a certificate has to be looked at.
   */
  async connect(): Promise<void> {
    const { setupMs } = this.settings
    const lost = new Promise<never>((_, reject) => {
      this.giveUp = reject
    })
    const late = () => this.lose(this.failureOf(`nothing came of it in ${setupMs} ms`, codes.timedOut))
    const patience = setTimeout(late, setupMs)
    try {
      await Promise.race([this.setUp(), lost])
    } catch (error) {
      const failure = error as Failure
      this.lose(failure)
      throw await explained(failure, this.settings.client)
    } finally {
      clearTimeout(patience)
    }
  }

  /**
   * Asks in the newest version that both speak. Errors: `ClientError`, and the connection is lost, when the answer is not
   * there in time, or can't be read; when the broker speaks no such version, only that.
   */
  async request<Q, S>(api: Api<Q, S>, request: Q, timeoutMs: number): Promise<S> {
    await this.renewing
    if (!this.isOpen) throw this.failure ?? this.failureOf('it is not connected', codes.transport)
    return this.ask(api, this.versionOf(api), request, timeoutMs)
  }

  /** At once; what is not answered fails. */
  close(): void {
    this.onLost = () => undefined
    this.lose(this.failureOf('the connection was closed', codes.transport))
  }

  private async setUp(): Promise<void> {
    const { family, keepAlive, noDelay, setupMs, tls } = this.settings
    // Each address of a name has its turn.
    const turns = { autoSelectFamily: family === 0, autoSelectFamilyAttemptTimeout: Math.ceil(setupMs / 4) }
    const tcp = connectTcp({ ...this.address, ...turns, family, keepAlive, noDelay })
    await this.opened(tcp, 'connect')
    if (tls !== undefined) await this.encrypt(tcp)
    this.phase = 'greeting'
    this.socket?.on('data', (piece: Buffer) => this.read(piece))
    await this.greet()
    if (this.settings.login !== undefined) {
      this.phase = 'login'
      await this.logIn()
    }
    this.phase = 'first question'
  }

  private async encrypt(tcp: Socket): Promise<void> {
    const { context: secureContext, rejectUnauthorized, checksName } = this.settings.tls!
    this.phase = 'TLS'
    // Certificates have no dot at the end, as names may that are whole.
    const host = this.address.host.replace(/\.$/, '')
    const socket = connectTls({
      socket: tcp,
      secureContext,
      rejectUnauthorized,
      host,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(checksName ? {} : { checkServerIdentity: () => undefined }),
    })
    await this.opened(socket, 'secureConnect')
  }

  /** From now on this is the socket, whose end is the connection's. */
  private opened(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
    this.socket = socket
    socket.on('error', (error) => {
      if (socket === this.socket) this.lose(this.failureBy(error))
    })
    socket.on('close', () => {
      if (socket === this.socket) this.lose(this.hungUp())
    })
    if (this.failure !== undefined) socket.destroy()
    return new Promise((resolve) => socket.once(event, () => resolve()))
  }

  private async greet(): Promise<void> {
    const { setupMs } = this.settings
    const us = { software: 'weirflow', version }
    const [oldest, newest] = apiVersions.versions
    let { error, apis } = await this.ask(apiVersions, newest, us, setupMs)
    if (error === unsupportedVersion) ({ error, apis } = await this.ask(apiVersions, oldest, us, setupMs))
    if (error !== 0) throw this.failureOf(`it does not say what it speaks: error ${error}`, codes.badMessage)
    this.spoken = new Map(apis.map(({ key, oldest, newest }) => [key, [oldest, newest]]))
  }

  /** Logs in, and sees to it that this is done again before the login ends. */
  private async logIn(): Promise<void> {
    const { login, setupMs } = this.settings
    const exchange = login!.begin()
    // A token may be long in coming, and nobody has to wait for that.
    let said = await exchange.next()
    const free = this.holdRequests()
    try {
      const { mechanism } = login!
      const { error, mechanisms } = await this.ask(saslHandshake, this.versionOf(saslHandshake), { mechanism }, setupMs)
      if (error !== 0) {
        const takes = mechanisms.length === 0 ? '' : `; supported mechanisms: ${mechanisms.join(', ')}`
        throw this.refused(`${mechanism}: ${loginFaults[error] ?? `error ${error}`}${takes}`)
      }
      let lifetimeMs = 0
      while (said.done !== true) {
        const request = { bytes: said.value }
        const answer = await this.ask(saslAuthenticate, this.versionOf(saslAuthenticate), request, setupMs)
        if (answer.error !== 0) throw this.refused(`${mechanism}: ${answer.message ?? `error ${answer.error}`}`)
        lifetimeMs = answer.lifetimeMs
        said = await exchange.next(answer.bytes)
      }
      const afterMs = Math.min(longestTimerMs, Math.max(leastRenewalMs, lifetimeMs * renewAfter))
      if (lifetimeMs > 0 && this.failure === undefined) this.renewal = setTimeout(() => void this.renew(), afterMs)
    } catch (error) {
      throw (error as Partial<ClientError>).code === undefined ? this.refused(messageOf(error)) : error
    } finally {
      free()
    }
  }

  /** What is refused now was not before: a new connection, with what the settings are then, shows whether it still is. */
  private async renew(): Promise<void> {
    await this.logIn().catch((error) => {
      this.lose(this.failureOf(`the login could not be made anew: ${messageOf(error)}`, codes.transport))
    })
  }

  private holdRequests(): () => void {
    let free = () => undefined as void
    this.renewing = new Promise((resolve) => {
      free = () => {
        this.renewing = undefined
        resolve()
      }
    })
    return free
  }

  private versionOf({ name, key, versions: [ourOldest, ourNewest] }: Api<never, unknown>): number {
    const [oldest, newest] = this.spoken.get(key) ?? [0, -1]
    const both = Math.min(newest, ourNewest)
    if (both >= Math.max(oldest, ourOldest)) return both
    const theirs = newest < 0 ? 'nothing' : `${oldest} to ${newest}`
    throw this.failureOf(
      `of ${name} it speaks ${theirs}, and this process ${ourOldest} to ${ourNewest}`,
      codes.badMessage,
    )
  }

  private ask<Q, S>(api: Api<Q, S>, version: number, request: Q, timeoutMs: number): Promise<S> {
    return new Promise((resolve, reject) => {
      if (this.failure !== undefined) return reject(this.failure)
      const id = (this.lastId = (this.lastId + 1) & 0x7fff_ffff)
      const late = () => this.lose(this.failureOf(`no answer to ${api.name} in ${timeoutMs} ms`, codes.timedOut))
      const answer = (bytes: Buffer) => resolve(decodeAnswer(api, version, bytes))
      const question = encodeRequest(api, version, id, this.settings.clientId, request)
      this.asked.push({ id, timer: setTimeout(late, timeoutMs), answer, fail: reject })
      this.socket?.write(question)
    })
  }

  private read(piece: Buffer): void {
    try {
      this.frames.push(piece)
    } catch (error) {
      this.lose(this.failureBy(error as Error))
    }
  }

  private answered(frame: Buffer): void {
    if (this.failure !== undefined) return
    const asked = this.asked[0]
    const id = correlationOf(frame)
    if (asked?.id !== id)
      throw this.failureOf(`it answered question ${id}, where ${asked?.id ?? 'none'} was next`, codes.badMessage)
    if (this.phase === 'first question') this.phase = 'open'
    asked.answer(frame)
    this.asked.shift()
    clearTimeout(asked.timer)
  }

  private lose(failure: Failure): void {
    if (this.failure !== undefined) return
    const wasOpen = this.isOpen
    this.failure = failure
    clearTimeout(this.renewal)
    this.socket?.destroy()
    for (const { timer, fail } of this.asked.splice(0)) {
      clearTimeout(timer)
      fail(failure)
    }
    this.giveUp(failure)
    if (wasOpen) this.onLost(failure)
  }

  /** What an error means that came out of the socket, or out of what was read there. */
  private failureBy(error: Error): Failure {
    if (isFailure(error)) return error
    const message = messageOf(error)
    if (error instanceof NoFrame) {
      if (error.isTls && this.phase === 'greeting')
        return this.failureOf('it answers in TLS: connecting to a SSL listener?', codes.ssl)
      return this.failureOf(`${message}: is it Kafka, and does it speak as this connection does?`, codes.badMessage)
    }
    if (error instanceof MalformedError) return this.failureOf(message, codes.badMessage)
    const verdict = this.phase === 'TLS' ? (this.socket as TLSSocket).authorizationError : undefined
    if ((verdict ?? undefined) !== undefined) return this.failureOf(`certificate verify failed: ${message}`, codes.ssl)
    if (/SSL alert number|SSL routines/.test(message)) return this.failureOf(message, codes.ssl)
    return this.phase === 'TLS' ? this.hungUp() : this.failureOf(message, codes.transport)
  }

  private hungUp(): Failure {
    const what = 'connection closed by peer'
    const asksForLogin = this.phase === 'first question' && this.settings.login === undefined
    if (asksForLogin) return this.failureOf(`${what} in state UP`, codes.hungUp)
    if (this.phase === 'greeting' && this.settings.tls === undefined)
      return this.failureOf(`${what} while requesting ApiVersion`, codes.hungUp)
    if (this.phase === 'TLS')
      return this.failureOf(`${what} in the TLS handshake: connecting to a PLAINTEXT listener?`, codes.ssl)
    return this.failureOf(what, codes.transport)
  }

  private refused(message: string): Failure {
    return this.failureOf(`SASL ${message}`, codes.authentication)
  }

  private failureOf(message: string, code: number): Failure {
    return failureOf(message, code, this.broker)
  }
}

function isFailure(error: Error): error is Failure {
  return typeof (error as Partial<ClientError>).code === 'number'
}
