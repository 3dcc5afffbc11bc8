import { defineSource } from '../../model/index.js'
import { jointOptions } from './repartition-sink.js'

/** The beginning of a task that goes on with the records of another. */
export const repartitionSource = defineSource({
  name: 'repartition.source',
  summary: 'Takes records from another task of the flow.',
  options: jointOptions,
  replayable: true,
  detail: ({ topic }) => topic,
  build: (joint, { flow, stage, log, instance, connection }) =>
    joint.channel.source(connection(joint.connectionKind), { ...joint, instance, place: { flow, stage }, log }),
})
