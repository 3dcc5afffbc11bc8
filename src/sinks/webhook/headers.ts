/** What says how a request is sent, or what it is known by: nobody else may. */
const own =
  /^(webhook-.*|idempotency-key|host|connection|keep-alive|content-length|transfer-encoding|expect|upgrade|te|trailer)$/i

const name = /^[!#$%&'*+.^_`|~\w-]+$/
/** One line of characters that have one byte. */
const value = /^[\t\x20-\x7e\x80-\xff]*$/

export const headersRule = 'expected names and values that HTTP takes, and none of those that the sink sends itself'

export function isSendable(headers: Readonly<Record<string, string>>): boolean {
  return Object.entries(headers).every(([each, text]) => name.test(each) && !own.test(each) && value.test(text))
}
