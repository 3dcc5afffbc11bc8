import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installKafka } from './kafka-install.js'
import { findProgram } from './server-support.js'

const policy = `
import java.util.Map;
import org.apache.kafka.common.errors.PolicyViolationException;
import org.apache.kafka.server.policy.CreateTopicPolicy;

public class Policy implements CreateTopicPolicy {
  public void validate(RequestMetadata asked) {
    if (asked.topic().contains("forbidden")) throw new PolicyViolationException("nobody needs such a topic");
    int count = asked.numPartitions() == null ? asked.replicasAssignments().size() : asked.numPartitions();
    if (asked.topic().contains("strict") && count != 2) throw new PolicyViolationException("two partitions, please");
  }
  public void configure(Map<String, ?> settings) {}
  public void close() {}
}`

/** A policy of brokers for topics that are made: none is named \`forbidden\`, and those named \`strict\` have two partitions. */
export function topicPolicy() {
  const classes = mkdtempSync(join(tmpdir(), 'weir-policy-'))
  const source = join(classes, 'Policy.java')
  writeFileSync(source, policy)
  execFileSync(findProgram('javac') ?? '', ['-cp', installKafka().jars, '-d', classes, source], { stdio: 'pipe' })
  return {
    settings: { 'create.topic.policy.class.name': 'Policy' },
    classes,
    forget: () => rmSync(classes, { recursive: true }),
  }
}
