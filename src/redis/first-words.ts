type SystemError = Error & { readonly code?: string }

/** How the client puts it that nobody answered in time, and that the other side hung up. */
const silent = /ETIMEDOUT/
const hungUp = /ECONNRESET|EPIPE|Connection is closed/

/**
 * Why a server could not be reached for the first time. One that speaks TLS hangs up on a client that does not; one that
 * speaks none waits for the end of what such a client says.
 */
export function atFirst(error: Error, speaksTls: boolean): Error {
  const why = speaksTls
    ? silent.test(error.message) &&
      'a server that speaks no TLS is silent then: check the URL (rediss://) and the option ssl'
    : hungUp.test(error.message) && 'a port that wants TLS hangs up: use rediss://, or the option ssl'
  if (why === false) return error
  const { code } = error as SystemError
  return Object.assign(new Error(`${error.message} (${why})`, { cause: error }), code === undefined ? {} : { code })
}
