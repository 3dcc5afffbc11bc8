export function exclusively<T>(lock: string, work: () => T | Promise<T>): Promise<T>
export function exclusivelySync<T>(lock: string, work: () => T): T
export function take(lock: string): boolean
