import type { Environment } from '../model/index.js'

/** A Deployment's pods end with five signs that are drawn anew for each; a StatefulSet's with their number. */
const statefulPod = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?-\d{1,4}$/

/**
 * The lasting name of this process in consumer groups, of which it then keeps its partitions over a restart:
 * WEIR_INSTANCE_ID, or the pod's name. Each of several workers has its own.
 */
export function instanceOf(environment: Environment, worker: number | undefined): string | undefined {
  const name = given(environment, 'WEIR_INSTANCE_ID') ?? given(environment, 'POD_NAME') ?? statefulHost(environment)
  return name === undefined || worker === undefined ? name : `${name}-${worker}`
}

function statefulHost(environment: Environment): string | undefined {
  const name = given(environment, 'HOSTNAME')
  return name !== undefined && statefulPod.test(name) ? name : undefined
}

function given(environment: Environment, name: string): string | undefined {
  const value = environment[name]
  return value === '' ? undefined : value
}
