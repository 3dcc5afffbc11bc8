/**
 * The vocabulary that all parts share: it imports no other folder.
 *
 *   record, key         what flows, and what it is grouped by
 *   partition           where it came from
 *   batch               records that travel together as one
 *   stage               sources, operators and sinks: how they are defined and what they are given
 *   source              what a source at work promises the engine
 *   connection          what several stages share to reach one system
 *   channel             internal topics between the tasks of a flow
 *   checkpoint, store   where state and positions are kept, and state as a stage sees it
 *   view-storage        where views are kept, to be read by every replica
 *   setting             values read from the environment
 *   dead-letter, replay records that a stage rejected, and that are written again
 *   retry               what is tried again later
 *   audit, trace-context who did what, and the trace that it is a part of
 *   errors, fault       codes, remedies, places; whose fault an error is
 *   json-text, exact-numbers, writable, bytes
 *                       what JSON and UTF-8 carry, and what they would alter
 *   metric              numbers that stages tell of themselves
 *   clock, duration, time, iso-time, ahead, log, nesting, plain-object
 */
export * from './ahead.js'
export * from './audit.js'
export * from './batch.js'
export * from './bytes.js'
export * from './channel.js'
export * from './checkpoint.js'
export * from './clock.js'
export * from './connection.js'
export * from './dead-letter.js'
export * from './duration.js'
export * from './errors.js'
export * from './exact-numbers.js'
export * from './fault.js'
export * from './http-port.js'
export * from './iso-time.js'
export * from './json-text.js'
export * from './key.js'
export * from './log.js'
export * from './metric.js'
export * from './nesting.js'
export * from './operate.js'
export * from './partial-result.js'
export * from './partition.js'
export * from './plain-object.js'
export * from './printable.js'
export * from './record.js'
export * from './replay.js'
export * from './retry.js'
export * from './setting.js'
export * from './source.js'
export * from './stage.js'
export * from './store.js'
export * from './time.js'
export * from './trace-context.js'
export * from './view-storage.js'
export * from './writable.js'
