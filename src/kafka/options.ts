import { z } from 'zod'
import { securityFaults, securityOptions } from './security.js'

export const connectionOptions = z
  .strictObject({
    brokers: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
      .refine((brokers) => brokers === 'embedded' || brokerList(brokers).split(',').every(isBroker), {
        message: "expected 'host:port,host:port', without a scheme, or 'embedded'",
      })
      .describe(
        "The brokers to start from: 'host:port,host:port', a list of them, or 'embedded' for a broker inside this process that forgets everything at exit.",
      ),
    clientId: z.string().optional().describe('The name that brokers log. Default: the name of the app.'),
    ...securityOptions,
    client: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
      .default({})
      .describe("Further settings of the client, as librdkafka names them; they go before Weir's own."),
  })
  .superRefine((options, context) => {
    const isEmbedded = brokerList(options.brokers) === 'embedded'
    for (const { path, message } of securityFaults(options, isEmbedded))
      context.addIssue({ code: 'custom', path: [...path], message })
  })

export type ConnectionOptions = z.output<typeof connectionOptions>

function isBroker(address: string): boolean {
  const [, port = '9092'] = /^(?:[\w.-]+|\[[\da-fA-F:.]+\])(?::(\d{1,5}))?$/.exec(address) ?? [undefined, '0']
  return Number(port) > 0 && Number(port) <= 65_535
}

/** `host:port,host:port`. */
export function brokerList(brokers: string | readonly string[]): string {
  return (typeof brokers === 'string' ? brokers.split(',') : brokers).map((broker) => broker.trim()).join(',')
}
