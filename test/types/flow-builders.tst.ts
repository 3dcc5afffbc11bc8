import { bufferCount, of } from 'rxjs'
import { describe, expect, test } from 'tstyche'
import { z } from 'zod'
import { Flow, type Merged } from '../../src/engine/flow.js'
import { branch, flow, from, merge, otherwise, to } from '../../src/engine/flow-builders.js'
import type { Batch, Sink, Source } from '../../src/model/index.js'
import { batch } from '../../src/operators/batch.js'
import { eventTime } from '../../src/operators/event-time.js'
import { filter } from '../../src/operators/filter.js'
import { flatMap } from '../../src/operators/flat-map.js'
import { json } from '../../src/operators/json.js'
import { map } from '../../src/operators/map.js'
import { mapAsync } from '../../src/operators/map-async.js'
import { rx } from '../../src/operators/rx.js'
import { tap } from '../../src/operators/tap.js'

interface View {
  kind: 'view'
  user: string
  at: number
}
interface Sale {
  readonly kind: 'sale'
  readonly amount: number
}

const View = z.object({ kind: z.literal('view'), user: z.string(), at: z.number() })

declare function isSale(event: View | Sale): event is Sale
declare const bytes: Source<Buffer | null>
declare const views: Source<View>
declare const sales: Source<Sale>
declare const viewSink: Sink<View>
declare const saleSink: Sink<Sale>
declare const anySink: Sink<unknown>
/** Typed as a sink of rows is: it takes single values or batches of them. */
declare function table<T>(options: { readonly row: (value: T) => object }): Sink<T | Batch<T>>

describe('flow', () => {
  test('types lambdas by the stage before', () => {
    const declared = flow(
      bytes,
      json(View),
      eventTime((view) => view.at),
      filter((view) => view.user !== ''),
      tap((view) => expect(view).type.toBe<View>()),
      map((view) => ({ user: view.user, length: view.user.length })),
      flatMap(({ user, length }) => [`${user}${length}`]),
      mapAsync((text) => Promise.resolve(text.length)),
      mapAsync((length) => of(length > 1)),
      rx(bufferCount(2)),
      map((pair) => pair.every(Boolean)),
      anySink,
    )
    expect(declared).type.toBe<Flow>()
  })

  test('infers rows from single values and from batches', () => {
    flow(views, table({ row: (view) => ({ user: view.user }) }))
    flow(views, table({ row: ({ user, at }) => ({ user, at }) }))
    flow(views, batch({ size: 10 }), table({ row: (view) => ({ user: view.user }) }))
    flow(
      views,
      map((view) => ({ window: { start: view.at }, value: { users: 1 } })),
      batch({ size: 100, every: '1s' }),
      table({ row: ({ window, value }) => ({ timestamp: window.start, ...value }) }),
    )
  })

  test('refuses a stage that does not fit its neighbour', () => {
    expect(flow).type.not.toBeCallableWith(views, saleSink)
    expect(flow).type.not.toBeCallableWith(views, json(View), viewSink)
    expect(flow).type.not.toBeCallableWith(
      views,
      map((view: Sale) => view.amount),
      anySink,
    )
    expect(flow).type.not.toBeCallableWith(views)
    expect(flow).type.not.toBeCallableWith(viewSink, views)
    expect(flow).type.toBeCallableWith(views, viewSink)
  })

  test('refuses a selector of a field that the stage before does not make', () => {
    flow(
      sales,
      // @ts-expect-error Property 'user' does not exist on type 'Sale'
      map((sale) => sale.user),
      anySink,
    )
    flow(
      bytes,
      json(View),
      // @ts-expect-error Property 'name' does not exist on type '{ kind: "view"
      eventTime((view) => view.name),
      anySink,
    )
    // @ts-expect-error Property 'amount' does not exist on type 'View'
    flow(views, batch({ size: 10 }), table({ row: (view) => ({ amount: view.amount }) }))
  })

  test('narrows by a type guard', () => {
    flow(
      merge(views, sales),
      filter((event) => event.kind === 'view'),
      viewSink,
    )
    flow(
      merge(views, sales),
      filter((event): event is Sale => event.kind === 'sale'),
      saleSink,
    )
    expect(flow).type.not.toBeCallableWith(
      merge(views, sales),
      filter((event: View | Sale) => event.kind !== 'sale' || event.amount > 1),
      viewSink,
    )
  })
})

describe('merge and from', () => {
  test('make the union of their inputs', () => {
    expect(merge(views, sales)).type.toBe<Merged<View | Sale>>()
    expect(
      merge(
        views,
        from(
          sales,
          map((sale) => sale.amount),
        ),
      ),
    ).type.toBe<Merged<View | number>>()
    expect(from(bytes, json(View))).type.toBe<Merged<View>>()
    flow(
      merge(
        views,
        from(
          bytes,
          json(View),
          filter((view) => view.at > 0),
        ),
      ),
      map((view) => view.user),
      anySink,
    )
  })

  test('refuse operators that do not fit', () => {
    expect(from).type.not.toBeCallableWith(views, json(View))
  })
})

describe('branch', () => {
  test('types conditions and stages by the stage before', () => {
    flow(
      merge(views, sales),
      branch(
        to(
          'views',
          (event: View | Sale): event is View => event.kind === 'view',
          map((view) => view.user),
          anySink,
        ),
        to(
          'large',
          (event) => event.kind === 'sale' && event.amount > 100,
          map((event) => event.kind),
          anySink,
        ),
        to(
          'sales',
          isSale,
          map((sale) => sale.amount),
          anySink,
        ),
        to('other sales', isSale, saleSink),
        otherwise(
          'rest',
          map((event) => event.kind),
          anySink,
        ),
      ),
    )
    flow(
      views,
      branch(
        to('new', (view) => view.at > 0, viewSink),
        otherwise('old', table({ row: (view) => ({ user: view.user }) })),
      ),
    )
  })

  test('refuses what does not fit', () => {
    // @ts-expect-error Property 'amount' does not exist on type 'View'
    flow(views, branch(to('large', (view) => view.amount > 100, anySink)))
    // @ts-expect-error Property 'amount' is missing in type 'View'
    flow(views, branch(otherwise('rest', saleSink)))
    // @ts-expect-error Argument of type 'Sink<Sale>' is not assignable to parameter of type 'End<View | Sale>'
    flow(merge(views, sales), branch(to('views', (event) => event.kind === 'view', saleSink)))
    // @ts-expect-error Argument of type 'Sink<View>' is not assignable to parameter of type 'End<Sale>'
    flow(merge(views, sales), branch(to('sales', isSale, viewSink)))
    flow(
      merge(views, sales),
      branch(
        to(
          'sales',
          isSale,
          // @ts-expect-error Property 'user' does not exist on type 'Sale'
          map((sale) => sale.user),
          anySink,
        ),
      ),
    )
  })
})
