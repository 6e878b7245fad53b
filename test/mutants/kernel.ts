import { KEYED_MUTANTS } from './keyed.js';
import type { Mutant } from './run-mutants.js';

const SCHEDULE = 'src/core/schedule.ts';
const TURNS = 'src/core/turns.ts';
const CORE = 'src/core/core.ts';
const RUNNER = 'src/core/runner.ts';
const FATES = 'src/core/fates.ts';
const LANES = 'src/core/lanes.ts';
const BATCH = 'src/core/batch.ts';
const WAITERS = 'src/core/waiters.ts';
const ROOM = 'src/core/admission.ts';
const HOOKS = 'src/collector/hooks.ts';
const QUEUE = 'src/collector/append-queue.ts';
const FAILURES = 'src/collector/failures.ts';
const ADMISSION = 'src/collector/admission.ts';

const TRIGGERS = ['test/collector/triggers.test.ts'];
const RETRY = ['test/collector/retry.test.ts'];
const EDGES = ['test/collector/retry-edges.test.ts'];
const CONTROL = ['test/collector/control.test.ts'];
const INTERVAL = ['test/collector/interval.test.ts'];
const PARTIAL = ['test/collector/partial.test.ts'];
const PROMISES = ['test/collector/promises.test.ts'];
const OVERFLOW = ['test/collector/overflow.test.ts'];
const EVENTS = ['test/collector/events.test.ts'];
const REPORTED = ['test/collector/reported-faults.test.ts'];
const ADMITS = ['test/core/admission.test.ts'];
const CALLBACKS = ['test/collector/callbacks.test.ts'];
const ABUSE = ['test/abuse.test.ts'];

/** Deliberate bugs of the core and of the collector. */
export const KERNEL_MUTANTS: readonly Mutant[] = [
  {
    name: 'size: one too many',
    file: TURNS,
    by: TRIGGERS,
    from: `this.size >= this.limits.size`,
    to: `this.size > this.limits.size`,
  },
  {
    name: 'weight: the limit itself does not count',
    file: TURNS,
    by: TRIGGERS,
    from: `this.weight >= this.limits.weight`,
    to: `this.weight > this.limits.weight`,
  },
  {
    name: 'an item that just fits makes way',
    file: QUEUE,
    by: TRIGGERS,
    from: `core.weight + weight > core.limits.weight`,
    to: `core.weight + weight >= core.limits.weight`,
  },
  {
    name: 'one lane too many',
    file: LANES,
    by: RETRY,
    from: `this.busy < this.limits.lanes`,
    to: `this.busy <= this.limits.lanes`,
  },
  {
    name: 'attempts start while paused',
    file: LANES,
    by: CONTROL,
    from: `this.busy < this.limits.lanes && !this.paused`,
    to: `this.busy < this.limits.lanes`,
  },
  {
    name: 'a released lane stays busy',
    file: LANES,
    by: TRIGGERS,
    from: `    this.busy--;\n    this.schedule.released();`,
    to: `    this.schedule.released();`,
  },
  {
    name: 'the interval drifts',
    file: SCHEDULE,
    by: INTERVAL,
    from: `const next = this.origin + (Math.floor((now - this.origin) / interval) + 1) * interval;`,
    to: `const next = now + interval;`,
  },
  {
    name: 'idle measures from the first item',
    file: SCHEDULE,
    by: CONTROL,
    from: `this.trigger === undefined && joined !== this.#joined`,
    to: `this.trigger === undefined && joined < 0`,
  },
  {
    name: 'a delivery does not revoke sinceFlush',
    file: SCHEDULE,
    by: TRIGGERS,
    from: `    this.lastFlush = now;\n    if (this.trigger === 'sinceFlush') this.trigger = undefined;`,
    to: `    this.lastFlush = now;`,
  },
  {
    name: 'a late success is heard',
    file: RUNNER,
    by: RETRY,
    from: `    if (run <= batch.ended) return;\n    this.endRun(batch);`,
    to: `    if (run < 0) return;\n    this.endRun(batch);`,
  },
  {
    name: 'flush timeouts are not armed',
    file: RUNNER,
    by: RETRY,
    from: `batch.wakeAt = now + this.limits.attempt;`,
    to: `batch.wakeAt = Infinity;`,
  },
  {
    name: 'an extra attempt uses up one of retry.attempts',
    file: RUNNER,
    by: CONTROL,
    from: `    if (extra) batch.attempt--;\n`,
    to: ``,
  },
  {
    name: 'hurry tries a batch more than once per wait',
    file: FATES,
    by: CONTROL,
    from: ` || batch.hurried)`,
    to: `)`,
  },
  {
    name: 'hurry cuts a delay short that retry.delay has set',
    file: FATES,
    by: CONTROL,
    from: `batch.delaySet || `,
    to: ``,
  },
  {
    name: 'hurry tries nothing',
    file: FATES,
    by: CONTROL,
    from: `      batch.wakeAt = -Infinity;\n      this.noteWake(-Infinity);`,
    to: ``,
  },
  {
    name: 'held batches reject no flush',
    file: FATES,
    by: RETRY,
    from: `    reject(batch.heldBy);`,
    to: `    void reject;`,
  },
  {
    name: 'an entry set aside alone is never held',
    file: FATES,
    by: PARTIAL,
    from: `if (batch.status === 'aside') this.hold(batch, batch.failure);`,
    to: `if (batch.size < 0) this.hold(batch, batch.failure);`,
  },
  {
    name: 'parts that were split off are lost behind newer batches',
    file: FATES,
    by: PARTIAL,
    from: `    this.skipTo(this.log.first);\n`,
    to: ``,
  },
  {
    name: 'a dropped batch stays pending',
    file: FATES,
    by: RETRY,
    from: `    this.finished += batch.size;\n    this.move(batch, 'settled');`,
    to: `    this.move(batch, 'settled');`,
  },
  {
    name: 'the promises of a split batch keep their old places',
    file: BATCH,
    by: PARTIAL,
    from: `place - countBelow(sorted, place)`,
    to: `place`,
  },
  {
    name: 'flush() resolves before everything below is settled',
    file: WAITERS,
    by: PROMISES,
    from: `first.position <= settled`,
    to: `first.position <= settled + 1`,
  },
  {
    name: 'flush() has no timeout',
    file: WAITERS,
    by: PROMISES,
    from: `    if (timeout < Infinity) {`,
    to: `    if (timeout < 0) {`,
  },
  {
    name: 'flush() does not cover what is in flight',
    file: TURNS,
    by: PROMISES,
    from: `return this.log.first?.from ?? this.sealed;`,
    to: `return this.sealed;`,
  },
  {
    name: 'clear takes back what runs',
    file: CORE,
    by: CONTROL,
    from: `if (batch.inFlight || batch.status === 'settled') continue;`,
    to: `if (batch.status === 'settled') continue;`,
  },
  {
    name: 'returned items stay pending',
    file: CORE,
    by: CONTROL,
    from: `      this.finished += batch.size;\n      this.returned += batch.size;`,
    to: `      this.returned += batch.size;`,
  },
  {
    name: 'a demand is lost when the entry it waits for is refused',
    file: TURNS,
    by: PROMISES,
    from: `    if (this.size === 0) this.#advance();\n`,
    to: ``,
  },
  { name: 'turns nest', file: TURNS, by: ABUSE, from: `    if (this.#turning) return false;`, to: `` },
  {
    name: 'a closed batcher keeps its pause',
    file: CORE,
    by: CONTROL,
    from: `    this.paused = false;\n    this.fastLimit = 0;`,
    to: `    this.fastLimit = 0;`,
  },
  {
    name: 'dropOldest drops the newest',
    file: CORE,
    by: OVERFLOW,
    from: `oldest = this.log.first; oldest !== undefined; oldest = oldest.next`,
    to: `oldest = this.log.last; oldest !== undefined; oldest = oldest.previous`,
  },
  {
    name: 'delivered counts batches',
    file: HOOKS,
    by: EVENTS,
    from: `this.counts.delivered += batch.size;`,
    to: `this.counts.delivered += 1;`,
  },
  {
    name: 'refused is not counted',
    file: HOOKS,
    by: ['test/collector/hooks.test.ts'],
    from: `    this.counts.refused++;\n`,
    to: ``,
  },
  {
    name: 'room that comes free lets nobody in',
    file: HOOKS,
    by: OVERFLOW,
    from: `    this.#parts.admit();\n`,
    to: ``,
  },
  {
    name: 'a truthy shouldFlush flushes',
    file: HOOKS,
    by: REPORTED,
    from: `if (answer === true || answer === false) return answer;`,
    to: `if (typeof answer !== 'undefined') return Boolean(answer);`,
  },
  {
    name: 'retry.delay is not asked',
    file: FAILURES,
    by: CONTROL,
    from: `if (retry.delay === undefined) return undefined;`,
    to: `return undefined;`,
  },
  {
    name: 'maxElapsed does not count',
    file: FAILURES,
    by: CONTROL,
    from: `return elapsed + wait.retryIn > retry.maxElapsed ? undefined : wait;`,
    to: `return wait;`,
  },
  {
    name: 'a too large batch uses up an attempt',
    file: FAILURES,
    by: PARTIAL,
    from: `return this.#halve(batch, batch.attempt - 1);`,
    to: `return this.#halve(batch, batch.attempt);`,
  },
  {
    name: 'poison is blamed at once',
    file: FAILURES,
    by: PARTIAL,
    from: `single && suspected && batch.suspectedAt < run.deliveries`,
    to: `single`,
  },
  {
    name: 'an outage is split to the end',
    file: FAILURES,
    by: PARTIAL,
    from: `if (single || outage) {`,
    to: `if (single) {`,
  },
  {
    name: 'later adds overtake callers that wait for room',
    file: ADMISSION,
    by: REPORTED,
    from: `!this.dropping && !this.room.crowded && this.#fits(entry)`,
    to: `!this.dropping && this.#fits(entry)`,
  },
  {
    name: 'an abort leaves the caller in the room',
    file: ROOM,
    by: ADMITS,
    from: `          this.#remove(waiting);\n          reject(`,
    to: `          reject(`,
  },
  {
    name: 'a caller that waits for room demands nothing',
    file: ROOM,
    by: OVERFLOW,
    from: `      this.#last = waiting;\n      this.#demand();`,
    to: `      this.#last = waiting;`,
  },
  {
    name: 'a caller that waits never drops',
    file: ADMISSION,
    by: OVERFLOW,
    from: `this.dropping ? undefined : (): boolean => this.#drop(entry)`,
    to: `undefined`,
  },
  {
    name: 'what has just been let in is dropped before it starts',
    file: ROOM,
    by: OVERFLOW,
    from: `if (!some && first.makeRoom`,
    to: `if (first.makeRoom`,
  },
  {
    name: 'the room of a drop goes to a listener of the drop',
    file: ADMISSION,
    by: OVERFLOW,
    endless: true, // the listener adds again what was dropped for what it adds
    from: `    if (!this.dropping) this.room.admit();`,
    to: `    this.room.admit();`,
  },
  {
    name: 'a delay of retry.delay protects a held batch as well',
    file: FATES,
    by: EDGES,
    from: `batch.delaySet = typeof fate === 'object' && fate.set === true;\n    if (fate === 'drop'`,
    to: `if (typeof fate === 'object') batch.delaySet = fate.set === true;\n    if (fate === 'drop'`,
  },
  {
    name: 'parts that were taken out are thrown away when batchSplit throws later',
    file: FAILURES,
    by: EDGES,
    from: `if (i === 0) throw broken;`,
    to: `if (i >= 0) throw broken;`,
  },
  {
    name: 'a delay of 0 is no delay for maxElapsed',
    file: FAILURES,
    by: EDGES,
    from: `Math.max(asked ?? delay, SOON)`,
    to: `(asked ?? delay)`,
  },
  {
    name: 'an attempt hurried during a pause, and due, is an extra one',
    file: RUNNER,
    by: EDGES,
    from: `    if (batch.dueAt <= now) batch.extra = false;\n`,
    to: ``,
  },
  {
    name: 'the longest delay of several items does not count',
    file: FAILURES,
    by: PARTIAL,
    from: `Math.max(wait.retryIn, longest?.retryIn ?? 0)`,
    to: `Math.min(wait.retryIn, longest?.retryIn ?? Infinity)`,
  },
  {
    name: 'retry.delay: false is no answer',
    file: FAILURES,
    by: CONTROL,
    from: `if (asked === false || attempt`,
    to: `if (attempt`,
  },
  {
    name: 'a retry that is due starts while paused',
    file: RUNNER,
    by: CONTROL,
    from: `        if (!this.paused) this.start(batch, now);`,
    to: `        this.start(batch, now);`,
  },
  {
    name: 'resume wakes nothing',
    file: CORE,
    by: CONTROL,
    from: `    this.paused = false;\n    this.noteWake(-Infinity);`,
    to: `    this.paused = false;`,
  },
  {
    name: 'configure does not look at the open batch',
    file: CORE,
    by: CONTROL,
    from: `    this.fastLimit = 0;\n    this.noteWake(-Infinity);\n    this.turn();`,
    to: `    this.fastLimit = 0;`,
  },
  {
    name: 'clear lets nobody know',
    file: CORE,
    by: CONTROL,
    from: `      batch.outcome?.reject(error);\n      batch.pace?.reject(error);\n      this.move(batch, 'settled');`,
    to: `      this.move(batch, 'settled');`,
  },
  {
    name: 'clear leaves the open batch',
    file: CORE,
    by: CONTROL,
    from: `if (this.size > 0 && this.still) this.seal('demand');\n    const error`,
    to: `const error`,
  },
  {
    name: 'a batch whose fate is being decided is dropped',
    file: CORE,
    by: CALLBACKS,
    from: `if (!oldest.inFlight && oldest`,
    to: `if (!oldest.running && oldest`,
  },
  {
    name: 'flush({ hurry: false }) waits for a batch that is held already',
    file: TURNS,
    by: EDGES,
    from: `    this.leaveHeld(now);\n`,
    to: ``,
  },
  {
    name: 'flush({ hurry: false }) rejects although its own demand retries the held batch',
    file: RUNNER,
    by: EDGES,
    from: `if (call.position > this.sealed) break;`,
    to: ``,
  },
  {
    name: 'all attempts that expire together are settled in one turn',
    file: RUNNER,
    by: REPORTED,
    from: `if (this.expiries < PORTION) this.#expire(batch);`,
    to: `if (this.expiries < Infinity) this.#expire(batch);`,
  },
  {
    name: 'a listener that calls back has the next portion of timeouts settled in the same turn',
    file: TURNS,
    by: REPORTED,
    from: `this.#again = false;`,
    to: `this.#again = false;\n        this.expiries = 0;`,
  },
  {
    name: 'flush({ hurry: false }) rejects although the held batch is due',
    file: RUNNER,
    by: EDGES,
    from: `if (batch.status !== 'held' || this.#isDue(batch, now)) continue;`,
    to: `if (batch.status !== 'held') continue;`,
  },
  {
    name: 'the process ends with pending items in silence',
    file: 'src/collector/exit.ts',
    from: `for (const batcher of flushed) batcher.ends();`,
    to: ``,
    tests: ['test/collector/reported-processes.long.test.ts'],
  },
  {
    name: 'a timer that was taken away is believed in',
    file: 'src/core/clock.ts',
    from: ` || (this.#target < Infinity && this.#isLost(now))`,
    to: ``,
    tests: ['test/fake-timers'],
  },
  {
    name: 'close reports what a listener has cleared meanwhile',
    file: CORE,
    by: CALLBACKS,
    from: `if (batch.status === 'settled' || (batch.running && !all)) continue;`,
    to: `if (batch.running && !all) continue;`,
  },
  {
    name: 'the last of several refusals is taken for that of the caller that asks',
    file: QUEUE,
    by: CALLBACKS,
    from: `if (late.length > 0) Object.assign(this, { refusedAt, refusal });`,
    to: ``,
  },
  {
    name: 'with unref an awaited close holds nothing',
    file: TURNS,
    from: `ending !== undefined || !this.waiters.empty);`,
    to: `false);`,
    tests: ['test/collector/reported-processes.long.test.ts'],
  },
  {
    name: 'options are not read through a prototype',
    file: 'src/options/check.ts',
    by: REPORTED,
    from: `    const value = copy[name] ?? source[name];`,
    to: `    const value = copy[name];`,
  },
  {
    name: 'after the process stood still, an add expires attempts whose answers are unread',
    file: RUNNER,
    from: `now - moment <= FROZEN || `,
    to: `now - moment >= 0 || `,
    by: ['test/collector/stood-still.test.ts'],
    tests: ['test/collector/stood-still.test.ts'],
  },
  ...KEYED_MUTANTS,
];
