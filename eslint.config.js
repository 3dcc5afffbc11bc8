import { defineConfig } from 'eslint/config'
import rxjs from 'eslint-plugin-rxjs-x'
import tseslint from 'typescript-eslint'

const wallClock = 'Take the time from `context.clock.now()`: in tests it is virtual.'
const clockScheduler = 'Use `timer(ms, context.clock.scheduler)`: in tests time is virtual.'
const losesRecords = (instead) => `It drops records in silence. ${instead}`

const forgets = (instead) => `It remembers records for one epoch only. ${instead}`

const imported = (...names) =>
  `ImportDeclaration[source.value=/^rxjs/] ImportSpecifier[imported.name=/^(${names.join('|')})$/]`
const calling = (...names) => `CallExpression[callee.name=/^(${names.join('|')})$/]`

const noSubscribe = {
  selector: "CallExpression[callee.property.name='subscribe']",
  message: 'Only a task subscribes. Return the observable, composed by `concat`, `merge` or `mergeMap`.',
}

/** A wall clock can be set back: what is measured by it stands still then. */
const noWallClockDuration = {
  selector:
    "BinaryExpression[operator='-'] > CallExpression[callee.property.name='now']:matches([callee.object.name='clock'], [callee.object.property.name='clock'])",
  message: 'A duration is told by `clock.scheduler.now()`, which never goes back; `clock.now()` is for what is shown.',
}

/** What stages and flows must not do, each with what to do instead. */
const stageRules = [
  {
    selector: 'NewExpression[callee.name=/Subject$/]',
    message: 'A subject hides who emits and when. Derive the observable, or `new Observable` with its own teardown.',
  },
  noSubscribe,
  {
    selector: `${calling('mergeMap', 'flatMap')}[arguments.length<2], ${calling('mergeAll')}[arguments.length=0]`,
    message: 'Say the concurrency: `mergeMap(fn, 8)`, or `concatMap` where the order matters.',
  },
  {
    selector: imported('shareReplay'),
    message: 'It outlives its subscribers. Fan out by `branch` in the flow, or `share()` inside one stage.',
  },
  {
    selector: imported('switchMap', 'switchAll', 'switchScan'),
    message: losesRecords('Use `concatMap`, or `mergeMap` with a concurrency.'),
  },
  {
    selector: imported('exhaustMap', 'exhaustAll'),
    message: losesRecords('Use `concatMap`, which keeps what arrives meanwhile.'),
  },
  {
    selector: imported('debounce', 'debounceTime', 'audit', 'auditTime'),
    message: losesRecords('Use `batch`, and reduce each batch.'),
  },
  {
    selector: imported('sample', 'sampleTime', 'throttle', 'throttleTime'),
    message: losesRecords('Use `filter` for a sample on purpose, or `aggregate` over a window.'),
  },
  {
    selector: `${calling('rx')} ${calling('scan', 'reduce', 'mergeScan', 'count', 'min', 'max')}`,
    message: forgets('Use `aggregate`.'),
  },
  {
    selector: `${calling('rx')} ${calling('distinct', 'distinctUntilChanged', 'distinctUntilKeyChanged', 'groupBy', 'pairwise')}`,
    message: forgets('Use `keyBy` and `aggregate`.'),
  },
  {
    selector: `${calling('rx')} CallExpression[callee.name=/^(toArray|buffer.*)$/]`,
    message: forgets('Use `batch`.'),
  },
  {
    selector: `${calling('rx')} CallExpression[callee.name=/^window(Count|Time|Toggle|When)?$/]`,
    message: forgets('Use `aggregate` with a window.'),
  },
  {
    selector: "MemberExpression[object.name=/^(Date|performance)$/][property.name='now']",
    message: wallClock,
  },
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: wallClock },
  { selector: calling('setTimeout', 'setInterval', 'setImmediate'), message: clockScheduler },
  noWallClockDuration,
]

const ownProcess = 'Only src/cli knows the process: take what you need as an argument.'
const noProcess = {
  'no-restricted-globals': ['error', { name: 'process', message: ownProcess }],
  'no-restricted-imports': ['error', ...['process', 'node:process'].map((name) => ({ name, message: ownProcess }))],
}

export default defineConfig(
  { ignores: ['dist/', 'coverage/', 'temp/', 'node_modules/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { 'rxjs-x': rxjs },
    rules: {
      ...rxjs.configs.recommended.rules,
      'rxjs-x/no-floating-observables': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      // Methods that use no `this` are handed around freely; for observers rxjs-x has a rule of its own.
      '@typescript-eslint/unbound-method': 'off',
      // Clients reject with errors of their own that are not typed as errors.
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  { files: ['src/**/*.ts'], ignores: ['src/cli/**'], rules: noProcess },
  {
    files: ['src/**/*.ts'],
    // What two processes tell each other of time has no other clock.
    ignores: ['src/engine/repartition/**'],
    rules: { 'no-restricted-syntax': ['error', noWallClockDuration] },
  },
  {
    files: ['src/{sources,operators,sinks,flows}/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', ...stageRules] },
  },
  {
    // The one place where operators that RxJS has not are made: an operator subscribes to its input.
    files: ['src/operators/internal/operate.ts'],
    rules: { 'no-restricted-syntax': ['error', ...stageRules.filter((rule) => rule !== noSubscribe)] },
  },
  {
    // What a server answers is of no known type, and a test asserts it anyway.
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
)
