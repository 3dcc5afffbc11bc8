import type { SourceWay } from '../model/index.js'
import type { ClientSettings } from './client.js'
import { laneObstacle } from './fetch/index.js'
import type { ConnectionOptions } from './options.js'
import { securitySettings } from './security.js'

/** By which way records come where a source asks for one, or for none, and the client has these settings. */
export function wayOf(asked: 'client' | 'fetch' | undefined, settings: ClientSettings): SourceWay {
  if (asked === 'client') return { name: 'client', because: 'the option reader says so' }
  const obstacle = laneObstacle(settings)
  if (obstacle === undefined)
    return { name: 'fetch', because: asked === 'fetch' ? 'the option reader says so' : 'the settings allow it' }
  return { name: 'client', because: obstacle, fault: asked === 'fetch' ? faultOf(obstacle) : undefined }
}

/** The same before anything is opened. */
export function declaredWay(
  { reader, client }: { readonly reader?: 'client' | 'fetch' | undefined; readonly client: ClientSettings },
  connection: ConnectionOptions,
): SourceWay {
  return wayOf(reader, { ...securitySettings(connection), ...connection.client, ...client })
}

const faultOf = (obstacle: string) => ({
  message: `can't fetch past the client, because ${obstacle}`,
  hint: "Leave option reader out, or set it to 'client'.",
})
