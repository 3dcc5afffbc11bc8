import type { ProxyTracerProvider } from '@opentelemetry/api'
import type * as Sdk from '@opentelemetry/sdk-node'
import type { Observer } from '../engine/index.js'
import { describeError, type Environment, isWeirError, type Logger, systemClock } from '../model/index.js'
import { loadPeer } from '../model/optional-peer.js'
import type { Prepared } from './prepare.js'

/** Spans on their way to who collects them. */
export interface Tracing {
  readonly observer: Observer
  /** Sends what is left, for a while. */
  close(): Promise<void>
}

/** How long the last spans may take, ms. */
const lastMs = 5_000
const longestText = 500

/**
 * Spans by epoch and stage, sent by OTLP where OTEL_EXPORTER_OTLP_ENDPOINT is set; everything else is as OpenTelemetry's own
 * variables say. Undefined where it is not set, and nothing is loaded then; and where the SDK is not installed, which is told.
 */
export async function tracingOf({ environment, topology }: Prepared, log: Logger): Promise<Tracing | undefined> {
  if (!isWanted(environment)) return undefined
  const { diag, DiagLogLevel, trace } = await import('@opentelemetry/api')
  const tell = (text: string) => log.warn(`OpenTelemetry: ${text.slice(0, longestText)}`)
  const quiet = () => undefined
  const logger = { error: tell, warn: tell, info: quiet, debug: quiet, verbose: quiet }
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
  let sdk: Sdk.NodeSDK | undefined
  // Whoever was loaded before, by --import, has said where spans go.
  if ((trace.getTracerProvider() as ProxyTracerProvider).getDelegateTracer('weirflow') === undefined) {
    try {
      sdk = started(environment, topology.app)
    } catch (error) {
      if (!isWeirError(error)) throw error
      log.warn(`no spans are sent: ${describeError(error)}`)
      return undefined
    }
  }
  const { spans } = await import('../worker/spans.js')
  return { observer: spans(trace.getTracer('weirflow'), systemClock), close: () => closed(sdk, log) }
}

function isWanted(environment: Environment): boolean {
  const { OTEL_SDK_DISABLED: disabled, OTEL_TRACES_EXPORTER: exporter } = environment
  if (disabled?.toLowerCase() === 'true' || exporter === 'none') return false
  return ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'].some((name) => environment[name])
}

function started(environment: Environment, app: string): Sdk.NodeSDK {
  const name = '@opentelemetry/sdk-node'
  const { NodeSDK, resources } = loadPeer<typeof Sdk>(name, 'OTEL_EXPORTER_OTLP_ENDPOINT')
  // It reads those of the process alone, and some may stand in a file.
  for (const [variable, value] of Object.entries(environment))
    if (variable.startsWith('OTEL_') && value !== undefined) process.env[variable] = value
  const sdk = new NodeSDK({
    ...(isNamed(environment) ? {} : { serviceName: app }),
    // Command lines and users of machines are nobody's business.
    resourceDetectors: [resources.envDetector],
    instrumentations: [],
    metricReaders: [],
    logRecordProcessors: [],
  })
  sdk.start()
  return sdk
}

function isNamed({ OTEL_SERVICE_NAME: name, OTEL_RESOURCE_ATTRIBUTES: attributes = '' }: Environment): boolean {
  return Boolean(name) || /(^|,)\s*service\.name=/.test(attributes)
}

async function closed(sdk: Sdk.NodeSDK | undefined, log: Logger): Promise<void> {
  if (sdk === undefined) return
  const late = new Promise<string>((resolve) => setTimeout(resolve, lastMs, 'late').unref())
  try {
    if ((await Promise.race([sdk.shutdown(), late])) === 'late') log.warn('the last spans are lost: nobody took them')
  } catch (error) {
    log.warn({ error }, 'sending the last spans')
  }
}
