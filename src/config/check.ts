import type { WeirConfig } from '../engine/config.js'
import type { ConfigFault } from '../engine/config-error.js'
import { Flow } from '../engine/flow.js'
import { shapeFaults } from '../engine/flow-shape.js'
import { Setting } from '../model/index.js'
import { closest } from './closest.js'
import { placed } from './field-place.js'

const fields = ['app', 'connections', 'checkpoints', 'deadLetters', 'flows', 'run', 'systems', 'http', 'audit'] as const

/** What a configuration module exports, if it has the shape of one. Errors: `ConfigError` with every fault. */
export function checkConfig(module: unknown, file: string): WeirConfig {
  const config = isObject(module) ? module['default'] : undefined
  const faults = isObject(config) ? [...faultsOf(config)] : [noExport(config)]
  if (faults.length > 0) throw placed(faults, file)
  return config as WeirConfig
}

function* faultsOf(config: Record<string, unknown>): Generator<ConfigFault> {
  for (const name of Object.keys(config)) {
    if (!fields.some((field) => field === name)) yield unknownField(name)
  }
  for (const name of ['app', 'checkpoints', 'deadLetters']) {
    if (config[name] !== undefined && typeof config[name] !== 'string') yield { message: `${name}: expected a string` }
  }
  yield* declared(
    config['connections'] ?? {},
    'connections',
    isConnection,
    "a connection, such as kafka({ brokers: 'localhost:9092' })",
  )
  yield* declared(config['flows'], 'flows', (value) => value instanceof Flow, 'flow(source, …, sink)')
  if (isObject(config['flows']) && Object.keys(config['flows']).length === 0) yield { message: 'flows: there are none' }
  yield* unknownFlows(config)
  for (const [name, flow] of Object.entries(config['flows'] ?? {}))
    if (flow instanceof Flow) yield* shapeFaults(name, flow)
}

function* unknownFlows({ run, systems, flows }: Record<string, unknown>): Generator<ConfigFault> {
  if (!isObject(flows)) return
  if (run !== undefined) yield* unknownNames('run', run, flows)
  if (systems === undefined) return
  if (!isObject(systems)) yield { message: 'systems: expected an object of name: list of names of flows' }
  else for (const [name, named] of Object.entries(systems)) yield* unknownNames(`systems.${name}`, named, flows)
}

function* unknownNames(field: string, names: unknown, flows: Record<string, unknown>): Generator<ConfigFault> {
  if (!Array.isArray(names)) {
    yield { message: `${field}: expected a list of names of flows` }
    return
  }
  for (const name of names) {
    // What a setting is, is known when it is read.
    if (name instanceof Setting || Object.hasOwn(flows, String(name))) continue
    const meant = closest(String(name), Object.keys(flows))
    yield { message: `${field}: no flow is called '${name}'`, hint: meant && `Did you mean '${meant}'?` }
  }
}

function* declared(
  values: unknown,
  field: string,
  holds: (value: unknown) => boolean,
  expected: string,
): Generator<ConfigFault> {
  if (!isObject(values)) {
    yield { message: `${field}: expected an object of name: ${expected}` }
    return
  }
  for (const [name, value] of Object.entries(values)) {
    if (!holds(value)) yield { message: `${field}.${name}: expected ${expected}` }
  }
}

function unknownField(name: string): ConfigFault {
  const meant = closest(name, fields)
  const hint = meant === undefined ? `It knows ${fields.join(', ')}.` : `Did you mean '${meant}'?`
  return { message: `${name}: the configuration knows no such field`, hint }
}

function noExport(config: unknown): ConfigFault {
  const found = config === undefined ? 'exports nothing by default' : `exports ${typeof config} by default`
  return { message: `the configuration ${found}`, hint: 'Write `export default defineConfig({ flows: { … } })`.' }
}

function isConnection(value: unknown): boolean {
  return isObject(value) && isObject(value['definition']) && 'open' in value['definition']
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
