import { expect, test } from 'vitest'
import { Assignment } from '../../src/engine/assignment.js'
import { Inputs } from '../../src/engine/inputs.js'

const at = { topic: 'orders', partition: 0 }
const facts = { id: 'old', partitions: 1 }
const anew = { id: 'new', partitions: 1, before: 50 }

/** A partition that was read up to 50 of a topic, and begins anew in the one that took its place. */
function decided(): Assignment {
  const assignment = new Assignment(new Inputs())
  assignment.add(at, { position: 50, facts, streamTime: 7 })
  assignment.base({ ...at, offset: 0, facts: anew })
  return assignment
}

test('an epoch that fails goes back to where reading began, not to a position in a topic that is gone', () => {
  const assignment = decided()
  assignment.add(at, { position: 50, facts, streamTime: 7 })
  expect(assignment.progressOf(at)).toEqual({ position: 0, facts: anew, streamTime: 7 })
  expect(assignment.isUnchanged([{ ...at, offset: 0 }])).toBe(false)
})

test('a beginning that nobody has committed is still to be committed after an epoch that failed', () => {
  const assignment = new Assignment(new Inputs())
  assignment.add(at, undefined)
  assignment.base({ ...at, offset: 90, facts: anew })
  assignment.add(at, assignment.progressOf(at))
  expect(assignment.progressOf(at)?.position).toBe(90)
  expect(assignment.isUnchanged([{ ...at, offset: 90 }])).toBe(false)
})

test('what was committed meanwhile goes before what was decided', () => {
  const assignment = decided()
  assignment.add(at, { position: 20, facts: anew })
  expect(assignment.progressOf(at)).toEqual({ position: 20, facts: anew })
  expect(assignment.isUnchanged([{ ...at, offset: 20 }])).toBe(true)
})
