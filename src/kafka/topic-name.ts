import { z } from 'zod'

export const topicRule = "expected the name of a topic: letters of ASCII, digits, '.', '_' and '-', at most 249"

/** A name that Kafka takes for a topic. */
export const topicName = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,249}$/, topicRule)
  .refine((name) => name !== '.' && name !== '..', topicRule)
