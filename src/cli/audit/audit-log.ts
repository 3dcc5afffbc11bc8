import type { AuditSettings } from '../../config/audit.js'
import type { Engine } from '../../engine/index.js'
import type { AuditLog } from '../../model/index.js'
import { PostgresAuditLog } from '../../postgres/audit-log.js'
import type { PostgresConnection } from '../../postgres/connection.js'
import { kafkaOf } from '../kafka.js'
import { KafkaAuditLog } from './kafka-log.js'

/** Where it is written down what people do. */
export function auditLogOf({ to, name, connection }: AuditSettings, engine: Engine): AuditLog {
  if (to === 'topic') return new KafkaAuditLog(kafkaOf(engine, connection), name)
  return new PostgresAuditLog(engine.connection(connection) as PostgresConnection, name)
}
