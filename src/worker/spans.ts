import {
  type AttributeValue,
  createTraceState,
  type Link,
  ROOT_CONTEXT,
  SpanStatusCode,
  type Tracer,
  trace as tracing,
} from '@opentelemetry/api'
import type { EpochTrace, Observer, StageTrace } from '../engine/status.js'
import { type Clock, type StreamRecord, type TraceContext, traceOf } from '../model/index.js'

/**
 * Makes spans of what the engine tells: one an epoch, of a trace of its own that is linked to those of some of its records,
 * and below it one for each stage that had something to do, and one for the commit.
 */
export function spans(tracer: Tracer, { now, scheduler }: Clock): Observer {
  const wallTime = (at: number) => now() - (scheduler.now() - at)
  return {
    trace: (epoch) => {
      const { part, stages, startedAt, endedAt, commitMs, error, heads } = epoch
      const parent = tracer.startSpan(
        `epoch of ${part}`,
        { root: true, startTime: wallTime(startedAt), links: linksTo(heads), attributes: attributesOf(epoch) },
        ROOT_CONTEXT,
      )
      const within = tracing.setSpan(ROOT_CONTEXT, parent)
      const child = (name: string, from: number, to: number, attributes: Record<string, AttributeValue> = {}) =>
        tracer.startSpan(name, { startTime: wallTime(from), attributes }, within).end(wallTime(to))
      for (const stage of stages) child(stage.stage, stage.startedAt, stage.endedAt, attributesOfStage(stage))
      if (commitMs !== undefined) child('commit', endedAt - commitMs, endedAt)
      // Its message may quote a record.
      if (error !== undefined) parent.setStatus({ code: SpanStatusCode.ERROR, message: error.code })
      parent.end(wallTime(endedAt))
    },
  }
}

function attributesOf({ flow, epoch, records, error }: EpochTrace): Record<string, AttributeValue> {
  const attributes = { 'weir.flow': flow, 'weir.epoch': epoch, 'weir.records': records }
  return error === undefined ? attributes : { ...attributes, 'error.type': error.code }
}

function attributesOfStage({ kind, in: came, out, rejected }: StageTrace): Record<string, AttributeValue> {
  return {
    'weir.stage.kind': kind,
    'weir.records.in': came,
    'weir.records.out': out,
    'weir.records.rejected': rejected,
  }
}

/** Each trace once. */
function linksTo(records: readonly StreamRecord[]): Link[] {
  const contexts = new Map<string, TraceContext>()
  for (const record of records) {
    const context = traceOf(record)
    if (context !== undefined) contexts.set(context.text, context)
  }
  return [...contexts.values()].map(({ traceId, spanId, flags, state }) => ({
    context: {
      traceId,
      spanId,
      traceFlags: flags & 1,
      isRemote: true,
      ...(state === undefined ? {} : { traceState: createTraceState(state) }),
    },
  }))
}
