import type { Mutant } from './run-mutants.js';

const ADMISSION = 'src/serving/admission.ts';
const GATE = 'src/serving/gate.ts';
const PLACEMENT = 'src/serving/placement.ts';
const ROWS = 'src/serving/rows.ts';
const WATCH = 'src/serving/watch.ts';

const FAIRNESS = ['test/serving/fairness'];
const LEAVING = ['test/serving/leaving'];
const PLAIN = ['test/serving/plain'];
const POOL = ['test/serving/pool'];
const THREADS = ['test/serving/threads'];

/** Deliberate bugs of the serving. */
export const SERVING_MUTANTS: readonly Mutant[] = [
  // Plain rows
  {
    name: 'an Error in a slot of a caller without options resolves it',
    file: GATE,
    from: `if (typeof result === 'object' && isError(result)) (this`,
    to: `if (typeof result === 'symbol') (this`,
    tests: PLAIN,
  },
  {
    name: 'callers without options all get the answer of the first',
    file: GATE,
    from: `const at = this.#called++;`,
    to: `const at = 0 * this.#called++;`,
    tests: PLAIN,
  },
  {
    name: 'the failure of a batch resolves callers without options',
    file: GATE,
    from: `this.#reject(error);`,
    to: `this.#open(error);`,
    tests: PLAIN,
  },
  {
    name: 'a caller with options does not line up behind those without',
    file: 'src/serving/row.ts',
    from: `    const { slices } = this;\n    if (slices.length`,
    to: `    const slices = this.#slices;\n    if (slices.length`,
    tests: PLAIN,
  },
  {
    name: 'a caller without options joins a row of others as if it were plain',
    file: ROWS,
    from: `if (row.values.length === 1) row.plain = new Gate();`,
    to: `row.plain ??= new Gate();`,
    tests: PLAIN,
  },
  {
    name: 'all callers time out in one portion',
    file: WATCH,
    from: ` || expired.length === EXPIRIES_PER_TURN`,
    to: ``,
    tests: PLAIN,
  },
  {
    name: 'callers that time out together share an error',
    file: WATCH,
    from: `this.#giveUp(call, errors[i])`,
    to: `this.#giveUp(call, errors[0 * i])`,
    tests: PLAIN,
  },
  {
    name: 'the listener of a signal stays when its last call leaves',
    file: WATCH,
    from: `    listeners.stop();\n`,
    to: ``,
    tests: PLAIN,
  },
  // Calls of many values
  {
    name: 'the results of its first part replace those that came before them',
    file: 'src/serving/many.ts',
    from: `if (from === 0 && this.#results.length === 0) this`,
    to: `if (from === 0) this`,
    tests: ['test/serving/batch-serving'],
  },
  {
    name: 'a list fills its batch by one too many',
    file: ROWS,
    from: `Math.min(from + this.limits.size - this.size, values.length)`,
    to: `Math.min(from + this.limits.size - this.size + 1, values.length)`,
    tests: ['test/serving/batch-serving'],
  },
  // Leaving
  {
    name: 'an empty batch stays in the queue',
    file: ROWS,
    from: `        this.remove(batch);\n`,
    to: ``,
    tests: LEAVING,
  },
  {
    name: 'the signal does not abort when no caller is left',
    file: PLACEMENT,
    from: `      run.abort(reason);`,
    to: `      void run;`,
    tests: LEAVING,
  },
  {
    name: 'the signal aborts when the first caller leaves',
    file: PLACEMENT,
    from: `if (row.waiting > 0 || run === undefined) return;`,
    to: `if (run === undefined) return;`,
    tests: LEAVING,
  },
  {
    name: 'the deadline is the earliest of the callers',
    file: 'src/serving/run.ts',
    from: `call.deadline > last.deadline`,
    to: `call.deadline < last.deadline`,
    tests: LEAVING,
  },
  {
    name: 'the timer of a deadline stays armed when its call leaves',
    file: WATCH,
    from: `      this.#alarm.set(Infinity, 0);`,
    to: ``,
    tests: LEAVING,
  },
  // Leaving at the same time
  {
    name: 'all who leave at the same time leave in one turn',
    file: 'src/serving/portions.ts',
    from: `if (this.#settled >= PORTION) return;`,
    to: ``,
    tests: LEAVING,
  },
  {
    name: 'the portions of one turn are counted for each signal',
    file: 'src/serving/portions.ts',
    from: `    if (busy) return;\n`,
    to: `    if (busy) return;\n    this.#settled = 0;\n`,
    tests: LEAVING,
  },
  {
    name: 'values of callers who wait for their portion are executed when their lane is ready',
    file: 'src/serving/executor.ts',
    from: `      this.placement.sift(batch.state);\n`,
    to: ``,
    tests: LEAVING,
  },
  {
    name: 'batches that are turned away are executed when their lane is ready',
    file: PLACEMENT,
    from: `if (queued) this.#unexecuted = error;`,
    to: ``,
    tests: LEAVING,
  },
  {
    name: 'a result reaches a caller whose signal has aborted',
    file: WATCH,
    from: `one.over = one.aborted = true`,
    to: `one.aborted = true`,
    tests: LEAVING,
  },
  {
    name: 'what a stream has not read is read after the abort',
    file: 'src/serving/channel.ts',
    from: `if (this.isLost()) this.discard();`,
    to: ``,
    tests: LEAVING,
  },
  {
    name: 'close does not wait until all have their error',
    file: 'src/serving/close.ts',
    from: `  await placement.leaving.emptied();\n`,
    to: ``,
    tests: LEAVING,
  },
  // Entering
  {
    name: 'batches are cut and started while a call enters',
    file: ROWS,
    from: `return this.locks === 0 && super.turn(now);`,
    to: `return super.turn(now);`,
    tests: LEAVING,
  },
  {
    name: 'a call that stays whole is not given a batch of its own',
    file: PLACEMENT,
    from: `      if (whole) rows.makeWay(values.length, sumOf(weights));\n`,
    to: ``,
    tests: ['test/serving/batch-serving'],
  },
  {
    name: 'async iterables may hold the whole room',
    file: ADMISSION,
    from: `Math.max(1, Math.floor(config.maxPending / 2))`,
    to: `config.maxPending`,
    tests: FAIRNESS,
  },
  {
    name: 'a failing weigh fails the whole settleMany',
    file: ADMISSION,
    from: `if (call.settles !== true) {`,
    to: `if (call.settles !== undefined) {`,
    tests: FAIRNESS,
  },
  {
    name: 'a failed batch rejects the whole settleMany',
    file: 'src/serving/many.ts',
    from: `if (slice !== undefined && this.#parts.settle) {`,
    to: `if (slice !== undefined && this.over) {`,
    tests: FAIRNESS,
  },
  {
    name: 'flush does not wait for what runs',
    file: ROWS,
    from: `    const flush = new Flush(this.#opened);`,
    to: `    const flush = new Flush(0);\n    flush.resolve();`,
    tests: FAIRNESS,
  },
  {
    name: 'flush waits for what comes after it',
    file: ROWS,
    from: `first.below <= settled;`,
    to: `first.below < settled;`,
    tests: FAIRNESS,
  },
  {
    name: 'flush does not cut the open batch',
    file: ROWS,
    from: `    this.cut('demand');\n`,
    to: ``,
    tests: FAIRNESS,
  },
  {
    name: 'mapResults runs in the context of whoever settles the batch',
    file: 'src/serving/caller-context.ts',
    from: `    const next = this.#next;\n    this.#start(job);\n    return next as Promise<T>;`,
    to: `    return Promise.resolve().then(job);`,
    tests: FAIRNESS,
  },
  {
    name: 'promises in slots are handed out',
    file: 'src/serving/partitions.ts',
    from: `return promises ? Promise.all(copy.map(settleOne)) : copy;`,
    to: `return copy;`,
    tests: FAIRNESS,
  },
  {
    name: 'unread hook events have no bound',
    file: 'src/serving/channel.ts',
    from: `if (this.#hooks.length > MOST_UNREAD) this.#hooks.shift();`,
    to: ``,
    tests: FAIRNESS,
  },
  // Pool
  {
    name: 'a serving with a stream counts as idle',
    file: 'src/serving/core.ts',
    from: `this.#input.busy || `,
    to: ``,
    tests: POOL,
  },
  {
    name: 'a serving with inline work counts as idle',
    file: 'src/serving/core.ts',
    from: `this.inline.size + this.inline.streams > 0`,
    to: `this.inline.streams > 0`,
    tests: POOL,
  },
  {
    name: 'a serving of another copy of the package counts as idle',
    file: 'src/serving/batch-serving.ts',
    from: `(shared[SERVINGS] ??= new WeakMap())`,
    to: `new WeakMap()`,
    tests: POOL,
  },
  {
    name: 'a reader who leaves an inlineStream does not abort its handler',
    file: 'src/serving/inline-run.ts',
    from: `    chunk.run.leave(readerHasStopped());\n`,
    to: ``,
    tests: ['test/serving/inline'],
  },
  {
    name: 'close does not wait for what the reader of an inlineStream left behind',
    file: 'src/serving/inline-run.ts',
    from: `    this.#inline.start(chunk.run, 0, chunk.done);\n`,
    to: ``,
    tests: ['test/serving/inline'],
  },
  {
    name: 'pulled values that wait for room have no part of their share',
    file: ADMISSION,
    from: `placement.pulled + this.#sharing`,
    to: `placement.pulled`,
    tests: FAIRNESS,
  },
  {
    name: 'a serving closed by hand is handed out again',
    file: 'src/serving/pool.ts',
    from: `if (entry === undefined || isClosed(entry.serving)) {`,
    to: `if (entry === undefined) {`,
    tests: POOL,
  },
  {
    name: 'close of a pool does not wait for what was deleted',
    file: 'src/serving/pool.ts',
    from: `    this.#leaving.add(closing);\n`,
    to: ``,
    tests: POOL,
  },
  // Threads
  {
    name: 'close does not wait for inline work',
    file: 'src/serving/close.ts',
    from: `  await inline.settle(clock, deadline);\n`,
    to: ``,
    tests: THREADS,
  },
  {
    name: 'a dead thread is used again',
    file: 'src/serving/workers/pool.ts',
    from: `if (slot.thread?.ended === false) return slot.thread;`,
    to: `if (slot.thread !== undefined) return slot.thread;`,
    tests: THREADS,
  },
  {
    name: 'an idle thread holds the process',
    file: 'src/serving/workers/worker.ts',
    from: `      if (this.#running.size === 0) this.#worker.unref();`,
    to: ``,
    tests: THREADS,
  },
  {
    name: 'the next batch does not wait for the thread of one that timed out',
    file: 'src/serving/workers/pool.ts',
    from: `    await slot.free;\n`,
    to: ``,
    tests: THREADS,
  },
];
