export interface Address {
  readonly host: string
  readonly port: number
}

/** From where a port is reached. */
export type Reach = 'loopback' | 'all' | 'address'

/** How this machine itself reaches a port, and who else does. */
export function reachOf({ host, port }: Address, isTls: boolean): { readonly url: string; readonly reach: Reach } {
  const reach = isAny(host) ? 'all' : isLoopback(host) ? 'loopback' : 'address'
  const name = reach === 'address' ? bracketed(host) : host === '::1' ? '[::1]' : 'localhost'
  return { url: `${isTls ? 'https' : 'http'}://${name}:${port}`, reach }
}

function isAny(host: string): boolean {
  return host === '' || host === '0.0.0.0' || host === '::'
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
