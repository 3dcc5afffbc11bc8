/** What is wrong with the bytes that a broker sent. */
export type Malformation =
  /** They contradict themselves, or their checksum. */
  | 'corrupt'
  /** Records as brokers before 0.11 wrote them. */
  | 'old-format'
  /** A way to compress that is not known, or that this machine has no library for. */
  | 'compression'
  /** They would be larger than what was allowed. */
  | 'too-large'

/** Bytes of a broker that can't be read. */
export class MalformedError extends Error {
  constructor(
    readonly code: Malformation,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}
