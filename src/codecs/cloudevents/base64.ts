/** Undefined where it is no base64 by RFC 4648, section 4: Node would pass over what does not belong there. */
export function base64Bytes(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}
