import { workerPaths } from '../model/index.js'
import type { ConfigFault } from './config-error.js'
import { type FlowTopology, type SourceNode, stagesOf } from './topology.js'

/** Names of Kafka's topics, groups and clients are made of these. */
const nameable = /^[A-Za-z0-9._-]{1,100}$/

/** Names that internal topics, dead letters and groups can't be called after. */
export function nameFaults(app: string, flows: readonly string[]): ConfigFault[] {
  const named = [['app', app] as const, ...flows.map((name) => ['flows', name] as const)]
  return named
    .filter(([, name]) => !nameable.test(name))
    .map(([field, name]) => ({
      message: `${field}: '${name}' is no name that topics and groups can be called after`,
      hint: "Use letters of ASCII, digits, '.', '_' and '-', at most 100.",
    }))
}

/** Flows that would each get a part of what they read, for members of a group share it. */
export function sharedGroups(flows: readonly FlowTopology[]): ConfigFault[] {
  const readers = new Map<string, string>()
  return flows.flatMap(({ name, parts }) =>
    parts.flatMap(({ inputs }) =>
      inputs.flatMap(({ source }) =>
        groupsOf(source).flatMap(({ topic, group, id }): ConfigFault[] => {
          const other = readers.get(id) ?? name
          readers.set(id, other)
          if (other === name) return []
          const message = `flows '${other}' and '${name}' both read topic '${topic}' as group '${group}': each would get a part of it`
          return [{ message, hint: 'Give each a group of its own.', declaredAt: source.declaredAt }]
        }),
      ),
    ),
  )
}

function groupsOf({ definition, options, connection }: SourceNode) {
  const reads = options === undefined ? undefined : definition.reads?.(options)
  const { group, topics = [] } = reads ?? {}
  return group === undefined ? [] : topics.map((topic) => ({ topic, group, id: `${connection}\0${group}\0${topic}` }))
}

/** Paths at which the worker itself answers. */
export function takenPaths(flows: readonly FlowTopology[]): ConfigFault[] {
  return routesOf(flows)
    .filter(({ route }) => workerPaths.some((path) => route === `GET ${path}`))
    .map(({ flow, route, declaredAt }) => ({
      message: `flow '${flow}' serves ${route}, where the worker itself answers`,
      hint: 'Give the stage another path.',
      declaredAt,
    }))
}

/** Routes of one flow that two of its sources serve: only one of them could. */
export function doubledRoutes(flows: readonly FlowTopology[]): ConfigFault[] {
  const taken = new Set<string>()
  return routesOf(flows)
    .filter(({ route }) => route.startsWith('POST '))
    .flatMap(({ flow, route, declaredAt }): ConfigFault[] => {
      const id = `${flow} ${route}`
      if (!taken.has(id)) {
        taken.add(id)
        return []
      }
      return [
        { message: `flow '${flow}' serves ${route} twice`, hint: 'Give one of the sources another path.', declaredAt },
      ]
    })
}

/** Flows that can't run beside another, for it serves the same route. */
export function sharedRoutes(flows: readonly FlowTopology[]): { readonly flow: string; readonly fault: ConfigFault }[] {
  const servers = new Map<string, string>()
  return routesOf(flows).flatMap(({ flow, route, declaredAt }) => {
    const other = servers.get(route) ?? flow
    servers.set(route, other)
    const message = `flow '${flow}' serves ${route}, as flow '${other}' does: they can't run in one process`
    const hint = 'Give one of the stages another path, or run the flows apart.'
    return other === flow ? [] : [{ flow, fault: { message, hint, declaredAt } }]
  })
}

/** The same flows, those warned of that can't run beside another, or feed themselves. */
export function withWarnings(flows: readonly FlowTopology[]): readonly FlowTopology[] {
  const shared = sharedRoutes(flows)
  return flows.map((flow) => {
    const own = shared.filter((one) => one.flow === flow.name).map(({ fault }) => fault)
    return { ...flow, warnings: [...flow.warnings, ...own, ...loops(flow)] }
  })
}

function routesOf(flows: readonly FlowTopology[]) {
  return flows.flatMap(({ name: flow, parts }) =>
    parts.flatMap((part) =>
      stagesOf(part).flatMap(({ definition, options, declaredAt }) => {
        const routes = options === undefined || !('serves' in definition) ? [] : (definition.serves?.(options) ?? [])
        return routes.map((route) => ({ flow, route, declaredAt }))
      }),
    ),
  )
}

function loops({ name, parts }: FlowTopology): ConfigFault[] {
  const stages = parts.flatMap((part) => stagesOf(part))
  const read = new Set(
    stages.flatMap(({ definition, options, connection }) =>
      definition.kind === 'source' && options !== undefined
        ? (definition.reads?.(options).topics ?? []).map((topic) => `${connection} ${topic}`)
        : [],
    ),
  )
  return stages.flatMap(({ definition, options, connection, declaredAt }) => {
    const topic = definition.kind === 'sink' && options !== undefined ? definition.writes?.(options) : undefined
    if (topic === undefined || !read.has(`${connection} ${topic}`)) return []
    const message = `flow '${name}' writes to topic '${topic}', which it reads: what it writes comes again`
    return [{ message, hint: 'Write to another topic, unless a stage ends that.', declaredAt }]
  })
}
