/** What `/stats` answers. */
export interface Shown {
  readonly by_domain: Readonly<Record<string, number>>
  readonly by_user: Readonly<Record<string, number>>
}

/** Of an event what the count needs. */
export interface Event {
  readonly meta: { readonly domain: string; readonly dt: string }
  readonly user?: string
  readonly bot?: boolean
}

/** Counts lines of JSON one by one, by no code of the project. */
export function countOf(lines: Iterable<string>, { takes = (_: Event): boolean => true } = {}): Shown {
  const [domains, users] = [new Map<string, number>(), new Map<string, number>()]
  for (const line of lines) {
    const event = JSON.parse(line) as Event
    if (!takes(event)) continue
    domains.set(event.meta.domain, (domains.get(event.meta.domain) ?? 0) + 1)
    if (event.user !== undefined && event.user !== '') users.set(event.user, (users.get(event.user) ?? 0) + 1)
  }
  return { by_domain: Object.fromEntries(domains), by_user: Object.fromEntries(users) }
}
