#!/usr/bin/env node
// Calls of the Kafka client wait for brokers in the threads of Node's pool, up to ten seconds each. With the usual four, flows
// whose brokers are away hold up those that are well, and nobody hears in time what is wrong. Node looks at this when it
// first needs a thread, which is before the first line of an ES module: hence a script, and no more in it.
process.env.UV_THREADPOOL_SIZE ??= '32'

void import('./run.mjs')
