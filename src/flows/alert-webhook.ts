import { env, flow, json, kafka, secret, webhook } from 'weirflow'
import { type Alert, alertsTopic } from './alerts.js'

/** Where alerts are posted; the flow is run where it is set. */
export const alertWebhookUrl = secret('ALERT_WEBHOOK_URL')

/**
 * Posts alerts.
 *
 *   alerts ──► ALERT_WEBHOOK_URL
 *
 * Each is JSON, with a `text` that a chat shows, signed with ALERT_WEBHOOK_SECRET (whsec_…) where that is set. `webhook-id` is
 * the same whenever an alert is posted again, by whatever crashed.
 */
export const alertWebhook = flow(
  kafka.source({
    topic: alertsTopic,
    group: env('ALERT_WEBHOOK_GROUP_ID').default('alert-webhook'),
    create: true,
  }),
  json<Alert>(),
  webhook.sink({
    url: alertWebhookUrl.default('http://127.0.0.1:9099/alerts'),
    secret: secret('ALERT_WEBHOOK_SECRET').optional(),
    id: ({ source, id, notice }) => `${source}/${id}#${notice}`,
  }),
)
