import type { ServerResponse } from 'node:http'

/** Does something when an answer is over, or its caller gone: at once, where that has been so before. */
export function whenClosed(response: ServerResponse, then: () => void): void {
  if (response.closed) then()
  else response.once('close', then)
}
