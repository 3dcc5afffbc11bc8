/** The same in Java, which runs in a process of its own: see `java/PipelineCopy.java`. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { kafkaVersion } from '../../test/servers/kafka-install.js'
import { fetchJars } from '../../test/servers/maven-jars.js'

const jars = fetchJars({
  name: 'Pipeline-Copy',
  version: '1',
  dependencies: [
    ['org.apache.kafka', 'kafka-clients', kafkaVersion],
    ['org.postgresql', 'postgresql', '42.7.8'],
    ['com.fasterxml.jackson.core', 'jackson-databind', '2.19.2'],
    ['org.slf4j', 'slf4j-nop', '1.7.36'],
  ],
})
const program = fileURLToPath(new URL('java/PipelineCopy.java', import.meta.url))
const java = spawn('java', ['-Xms512M', '-Xmx1G', '-cp', `${jars}/*`, program], {
  stdio: ['ignore', 'inherit', 'inherit'],
})
java.on('close', (code) => process.exit(code ?? 1))
