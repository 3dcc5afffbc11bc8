import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { whenClosed } from './closed.js'

/** How many requests a connection may send ahead. */
const mostAhead = 100

/** The requests of one connection: whether one is being answered, and those that were sent ahead. */
interface Lane {
  isBusy: boolean
  readonly waiting: (() => void)[]
}

/**
 * Lets the requests of a connection be answered one after the other. An answer that was made ahead would wait in memory
 * behind one that may take as long as it likes, and Node does not tell when its connection is lost.
 */
export class Turns {
  private readonly lanes = new WeakMap<Socket, Lane>()

  /** @param refuse Is told of who sends too many ahead, and is cut off. */
  constructor(private readonly refuse: () => void) {}

  /** Goes on when the requests before it are answered; never, when the connection ends first. */
  take({ socket }: IncomingMessage, response: ServerResponse, goOn: () => void): void {
    const lane = this.laneOf(socket)
    const begin = () => {
      lane.isBusy = true
      whenClosed(response, () => {
        lane.isBusy = false
        if (!socket.destroyed) lane.waiting.shift()?.()
      })
      goOn()
    }
    if (lane.isBusy) this.wait(socket, lane, begin)
    else begin()
  }

  private laneOf(socket: Socket): Lane {
    let lane = this.lanes.get(socket)
    if (lane === undefined) this.lanes.set(socket, (lane = { isBusy: false, waiting: [] }))
    return lane
  }

  private wait(socket: Socket, { waiting }: Lane, begin: () => void): void {
    if (socket.destroyed || waiting.push(begin) <= mostAhead) return
    this.refuse()
    waiting.length = 0
    socket.destroy()
  }
}
