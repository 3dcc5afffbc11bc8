import { z } from 'zod'
import { isTopicName } from '../model/topic-name.js'

export const topicRule = "expected the name of a topic: letters of ASCII, digits, '.', '_' and '-', at most 249"

/** A name that Kafka takes for a topic. */
export const topicName = z.string().refine(isTopicName, topicRule)
