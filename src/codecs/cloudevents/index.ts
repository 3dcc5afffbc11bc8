/**
 * CloudEvents 1.0: from bytes and headers to plain data, every attribute checked, and back.
 *
 *   event          what an event is here
 *   draft          an event while its attributes come in, and all that is wrong with it
 *   error          all faults of an event in one error
 *   text, uri, media-type, timestamp, base64
 *                  what the specification says of types
 *   json-cursor    goes over JSON text, checks it, and makes no values
 *   data           data by its media type, parsed or as it came
 *   structured, binary
 *                  an event as JSON text; as bytes with attributes beside them
 *   headers, http-headers
 *                  what the headers of Kafka and HTTP hold of an event
 *   message        which of these a message is: one event, or a batch
 *   write          an event as bytes and headers
 */
export { type DataOptions, dataOptions } from './data.js'
export { CloudEventError, type CloudEventFault } from './error.js'
export type { CloudEvent, CloudEventInput, RawData } from './event.js'
export { isEventHeader, kafkaHeaders } from './headers.js'
export { httpHeaders } from './http-headers.js'
export { type Batched, isUnknownFormat, type Member, MessageReader } from './message.js'
export { EventWriter, type Written } from './write.js'
