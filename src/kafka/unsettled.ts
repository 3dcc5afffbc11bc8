import { type ClientError, codes } from './client.js'

/** The brokers are about to agree on who coordinates: so they answer right after they have started, or lost one of them. */
const passing: readonly number[] = [codes.coordinatorLoading, codes.coordinatorUnavailable, codes.notCoordinator]
/** How long that may take, ms. */
const mostMs = 10_000
const pauseMs = 100

/** Asks a coordinator, and again while there is none yet, for 10 s or until nobody wants to know any more. */
export async function settled<T>(ask: () => Promise<T>, isOver = () => false): Promise<T> {
  const until = performance.now() + mostMs
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (isOver() || performance.now() >= until || !passing.includes((error as ClientError).code)) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}
