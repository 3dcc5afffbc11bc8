import { ConfigError, compile, type WeirConfig } from '../../src/engine/index.js'
import { type Flow, kafka, postgres } from '../../src/index.js'
import type { Environment } from '../../src/model/index.js'

export const brokers = kafka({ brokers: 'localhost:9092' })
export const db = postgres({ url: 'postgres://localhost/db' })
export const orders = kafka.source({ topic: 'orders', group: 'g' })

/** A configuration of one flow, `flow`. */
export const config = (declared: Flow, more: Partial<WeirConfig> = {}): WeirConfig => ({
  connections: { kafka: brokers, db },
  checkpoints: 'db',
  flows: { flow: declared },
  ...more,
})

export const compiled = (given: WeirConfig, environment: Environment = {}) =>
  compile(given, { environment, isLasting: true })

export const flowOf = (given: WeirConfig) => {
  const [only] = compiled(given).flows
  if (only === undefined) throw new Error('there is a flow')
  return only
}

/** What is wrong with a configuration. */
export const faultsOf = (given: WeirConfig, environment: Environment = {}) => {
  try {
    compiled(given, environment)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}
