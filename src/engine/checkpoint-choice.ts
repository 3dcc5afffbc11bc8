import type { Environment } from '../model/index.js'
import type { ConfigFault } from './config-error.js'
import type { TopologyConnection } from './topology.js'

type Connections = ReadonlyMap<string, TopologyConnection>

export const checkpointsVariable = 'WEIR_CHECKPOINTS'

/** What keeps checkpoints where a flow chooses nothing of its own: the environment has the last word. */
export function usualCheckpoints(
  configured: string | undefined,
  environment: Environment,
  connections: Connections,
  faults: ConfigFault[],
): string {
  const given = environment[checkpointsVariable]
  return given
    ? chooseCheckpoints(checkpointsVariable, given, connections, faults)
    : chooseCheckpoints('checkpoints', configured ?? 'memory', connections, faults)
}

/**
 * The connection that a name means: the one that is called so, or else the only one of that kind; `memory` is none.
 * Where there is none that can keep checkpoints, that is a fault.
 */
export function chooseCheckpoints(
  what: string,
  named: string,
  connections: Connections,
  faults: ConfigFault[],
): string {
  return chooseKeeper('checkpoints', what, named, connections, faults)
}

/** The same for what can keep checkpoints, or views. */
export function chooseKeeper(
  kept: 'checkpoints' | 'views',
  what: string,
  named: string,
  connections: Connections,
  faults: ConfigFault[],
  declaredAt?: Error,
): string {
  if (named === 'memory') return named
  const ofKind = [...connections].filter(([, { definition }]) => definition.kind === named).map(([name]) => name)
  const [name = named, ...others] = connections.has(named) ? [named] : ofKind
  const fault = (message: string, hint: string) =>
    void faults.push({ message: `${what}: ${message}`, hint, declaredAt })
  const definition = connections.get(name)?.definition
  if (definition === undefined)
    fault(`no connection '${named}'`, `Declare it, or name ${listed([...connections.keys(), 'memory'])}.`)
  else if (definition[kept] === undefined)
    fault(
      `a ${definition.kind} connection ('${name}') can't keep them`,
      "Name a connection that keeps data, or 'memory'.",
    )
  else if (others.length > 0) fault(`there are several ${named} connections`, `Name ${listed([name, ...others])}.`)
  return name
}

function listed(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(' or ')
}
