import { isIPv6 } from 'node:net'

// RFC 3986, appendix A.
const encoded = '%[\\da-f]{2}'
const character = `(?:[\\w.~!$&'()*+,;=:@-]|${encoded})`
const user = `(?:[\\w.~!$&'()*+,;=:-]|${encoded})*@`
const name = `(?:[\\w.~!$&'()*+,;=-]|${encoded})*`
const address = "\\[(?:([\\da-f:.]+)|v[\\da-f]+\\.[\\w.~!$&'()*+,;=:-]+)\\]"
const segments = `(?:/${character}*)*`
const authority = `//(?:${user})?(?:${address}|${name})(?::\\d*)?${segments}`
const withoutColon = `(?:[\\w.~!$&'()*+,;=@-]|${encoded})+`
const query = `(?:\\?(?:${character}|[/?])*)?`
const fragment = `(?:#(?:${character}|[/?])*)?`
const absolutePart = `[a-z][a-z\\d+.-]*:(?:${authority}|/?(?:${character}+${segments})?)${query}`
const relativePart = `(?:${authority}|/(?:${character}+${segments})?|${withoutColon}${segments}|)${query}`

const absolute = new RegExp(`^${absolutePart}$`, 'i')
const reference = new RegExp(`^(?:${absolutePart}|${relativePart})${fragment}$`, 'i')

/** Whether it is an absolute URI: with a scheme, without a fragment. */
export function isAbsoluteUri(text: string): boolean {
  return isUri(absolute, text)
}

export function isUriReference(text: string): boolean {
  return isUri(reference, text)
}

function isUri(shape: RegExp, text: string): boolean {
  const match = shape.exec(text)
  if (match === null) return false
  const [, ...addresses] = match
  return addresses.every((each) => each === undefined || isIPv6(each))
}
