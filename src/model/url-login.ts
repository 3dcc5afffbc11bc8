/** An address without its login, and that as a header: no request takes one in its URL. */
export function withoutLogin(given: string): { readonly url: string; readonly headers: { authorization?: string } } {
  const url = new URL(given)
  const { username, password } = url
  if (username === '' && password === '') return { url: given, headers: {} }
  url.username = url.password = ''
  const login = Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')
  return { url: url.href, headers: { authorization: `Basic ${login}` } }
}

/** A part of an address, or of what is escaped as one, as it was meant; as it stands where it is not escaped. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
