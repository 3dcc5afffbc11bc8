import { noHeaders, StreamRecord } from '../model/index.js'
import type { Chunk, Destination } from './chunk.js'
import type { Message } from './client.js'

/** What one call of the client brought. */
export class Messages implements Chunk {
  /** The index of the first one that was not emitted yet. */
  next = 0

  constructor(readonly messages: readonly Message[]) {}

  get left(): number {
    return this.messages.length - this.next
  }

  emit(most: number, { out, moved, part: partOf }: Destination): number {
    const { messages } = this
    const last = Math.min(messages.length, this.next + most)
    let bytes = 0
    while (this.next < last && !out.closed) {
      const message = messages[this.next++]!
      const part = partOf(message.topic, message.partition)
      // One that is held comes again.
      if (part === undefined || part.isHeld) continue
      part.position = message.offset + 1
      part.moved = moved
      bytes += message.size
      // The client's message is the origin as it is, so that nothing is copied.
      const origin = message as StreamRecord['origin']
      out.next(
        new StreamRecord(
          message.key ?? null,
          message.value,
          message.timestamp ?? -1,
          message.headers ?? noHeaders,
          origin,
        ),
      )
    }
    return bytes
  }

  /** Those of them that are not emitted yet and wanted. */
  kept(wanted: (message: Message) => boolean): Messages {
    return new Messages(this.messages.slice(this.next).filter(wanted))
  }
}
