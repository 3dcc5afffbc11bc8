/** A limit of which 0 says that there is none. */
export const unlimited = (limit: number) => (limit === 0 ? Number.MAX_SAFE_INTEGER : limit)
