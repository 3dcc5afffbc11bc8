/** The floor of latency: copies a topic by hand, in the flowing mode, which is the client's quickest. */
import kafkaClient from '@confluentinc/kafka-javascript'

const { BROKERS = '', TOPIC = '', OUTPUT = '', RUN = '' } = process.env

const producer = new kafkaClient.Producer({
  'bootstrap.servers': BROKERS,
  'enable.idempotence': true,
  'linger.ms': 0,
  // As Weir and Java's clients place keys.
  partitioner: 'murmur2_random',
  'delivery.report.only.error': true,
  dr_cb: true,
})
const consumer = new kafkaClient.KafkaConsumer(
  {
    'bootstrap.servers': BROKERS,
    'group.id': `copy-loop-${RUN}`,
    'partition.assignment.strategy': 'cooperative-sticky',
    'enable.auto.commit': false,
  },
  { 'auto.offset.reset': 'earliest' },
)
const next = new Map<number, number>()

producer.on('delivery-report', (error) => {
  if (error) throw new Error(error.message)
})
producer.connect({}, (failed) => {
  if (failed) throw new Error(failed.message)
  producer.setPollInBackground(true)
  consumer.connect({}, (error) => {
    if (error) throw new Error(error.message)
    consumer.subscribe([TOPIC])
    consumer.on('data', (message) => {
      producer.produce(OUTPUT, null, message.value, message.key ?? null, message.timestamp)
      next.set(message.partition, message.offset + 1)
    })
    consumer.consume()
    // As Weir commits, once a second and behind the acknowledgements.
    setInterval(() => {
      const positions = [...next].map(([partition, offset]) => ({ topic: TOPIC, partition, offset }))
      producer.flush(5_000, () => consumer.commit(positions))
    }, 1_000)
    process.stdout.write('{"ready":true}\n')
  })
})
