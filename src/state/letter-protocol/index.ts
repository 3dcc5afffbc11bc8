/**
 * How dead letters are always written: pure, so that the Kafka client and the simulator drive the same
 * (docs/adr/0016, 0022).
 *
 *   letters   what of an epoch is on its way, and what is tried after a refusal
 *   draft     one letter as it is written, whole or with less in it, and how it says so
 */
export { Draft, type LetterMessage, type Refusal } from './draft.js'
export { Letters } from './letters.js'
