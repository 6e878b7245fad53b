import type { Mutant } from './run-mutants.js';

const ADMISSION = 'src/server/admission.ts';
const CALL = 'src/server/call.ts';
const CALLS = 'src/server/calls.ts';
const CHAIN = 'src/server/chain.ts';
const COLLECTION = 'src/server/collection.ts';
const HEAP = 'src/core/deadlines.ts';
const LIFE = 'src/server/lifecycle.ts';
const LIMIT = 'src/server/limit.ts';
const LOOP = 'src/server/loop.ts';
const MAILBOX = 'src/server/mailbox.ts';
const MONITOR = 'src/server/monitor.ts';
const REQUESTS = 'src/server/requests.ts';
const SERVER = 'src/server/batch-server.ts';
const SYS = 'src/server/sys.ts';
const GROWTH = 'src/server/growth.ts';

/** Its own tests, without the simulation, which takes longer than all others. */
const TESTS = ['test/server/'];

/** The tests of faults that were found, which are enough for the rules that came with them. */
const FAULTS = ['test/server/load', 'test/server/start', 'test/server/abuse'];
const MEMORY = ['test/server/memory'];

/** Deliberate bugs of the batch server. */
export const SERVER_MUTANTS: readonly Mutant[] = (
  [
    // Growth
    {
      name: 'empty is tested before full: an exactly full batch shrinks the limit',
      file: LOOP,
      from: `size >= this.#cutAt, duration`,
      to: `size > this.#cutAt, duration`,
    },
    {
      name: 'the limit grows without bounds',
      file: LIMIT,
      from: `Math.min(this.#max, Math.max(this.#min, next))`,
      to: `Math.max(this.#min, next)`,
    },
    {
      name: 'exponential rounds up',
      file: GROWTH,
      from: `(full ? limit * 2 : Math.floor(limit / 2))`,
      to: `(full ? limit * 2 : Math.ceil(limit / 2))`,
    },
    {
      name: 'aimd doubles',
      file: GROWTH,
      from: `full ? limit + step :`,
      to: `full ? limit * 2 :`,
    },
    {
      name: 'a growth function that throws ends the server',
      file: LIMIT,
      from: `this.#report('batchSizeGrowth threw', error);\n      return;`,
      to: `throw error;`,
    },
    {
      name: 'suspending counts as a batch, and changes the limit',
      file: LOOP,
      from: `    this.suspended = !this.#closing;\n`,
      to: `    this.suspended = !this.#closing;\n    this.limit.adapt(0, false, 0);\n`,
    },
    // Batches
    {
      name: 'hardLimit is ignored',
      file: MAILBOX,
      from: `entries.length > 1 && !this.#hardLimit`,
      to: `entries.length > 1`,
    },
    {
      name: 'a castBatch is torn apart',
      file: MAILBOX,
      from: `if (entries.length > 1 && !this.#hardLimit) this.#groups`,
      to: `if (entries.length < 0) this.#groups`,
    },
    {
      name: 'a castBatch is read while it is taken',
      file: SERVER,
      from: `const list: Entry[] = [...messages];`,
      to: `const list = messages as Entry[];`,
    },
    {
      name: 'reversedBatch is ignored',
      file: LOOP,
      from: `if (this.#config.reversedBatch) ops.reverse();`,
      to: ``,
    },
    {
      name: 'an info comes as a cast',
      file: MAILBOX,
      from: `new Wrapped({ kind: 'info', message })`,
      to: `new Wrapped({ kind: 'cast', message })`,
    },
    {
      name: 'a cast that was a call op once comes as that call',
      file: MAILBOX,
      from: `return Call.is(message) ? new Wrapped({ kind: 'cast', message }) : message;`,
      to: `return message;`,
    },
    {
      name: 'a part of a castBatch is let in where there is no room for all',
      file: SERVER,
      from: `admission.turnsAway('cast', list.length)`,
      to: `admission.turnsAway('cast', 1)`,
    },
    {
      name: 'refused is not counted',
      file: MONITOR,
      from: `if (!dropped) this.counts.refused += count;`,
      to: ``,
    },
    {
      name: 'refused is not emitted',
      file: MONITOR,
      from: `    this.events.emit('refused', { name: this.#name, kind, count, error });\n`,
      to: ``,
    },
    {
      name: 'nothing is ever dropped for newer ones',
      file: ADMISSION,
      from: `if (overflow !== 'dropOldest' || (running`,
      to: `if (maxPending > 0 || (running`,
    },
    {
      name: "'dropOldest' drops what makes no room",
      file: ADMISSION,
      from: ` || (running > 0 && running + count > maxPending)`,
      to: ``,
    },
    // Hooks
    {
      name: 'the continue chain comes after the next message',
      file: CHAIN,
      from: `return term === undefined ? undefined : this.continue(term, links);`,
      to: `if (term !== undefined) setImmediate(() => void this.continue(term, links));\n    return undefined;`,
    },
    {
      name: 'start resolves after the continue chain',
      file: LIFE,
      from: `if (term !== undefined) await new Promise<void>((resolve) => void endOfTurn(this.clock, resolve));`,
      to: ``,
    },
    {
      name: 'with { state, stop } terminate sees the old state',
      file: CHAIN,
      from: `const term = this.adopt(next);`,
      to: `const term = next.stop === undefined ? this.adopt(next) : undefined;`,
    },
    {
      name: 'another shape is taken for nothing',
      file: 'src/server/results.ts',
      from: `if (!FIELDS.has(field)) throw`,
      to: `if (field === '') throw`,
    },
    {
      name: 'a crash goes by without terminate',
      file: LIFE,
      from: `if (this.#made) await this.#terminate();`,
      to: `if (this.#made && this.#ending?.failed !== true) await this.#terminate();`,
    },
    {
      name: 'a failed init calls terminate',
      file: LIFE,
      from: `if (this.#made) await this.#terminate();`,
      to: `await this.#terminate();`,
    },
    {
      name: 'what a hook answers after the end still counts',
      file: CHAIN,
      from: `if (this.over || given === undefined) return undefined;`,
      to: `if (given === undefined) return undefined;`,
    },
    {
      name: 'an endless continue chain never lets the event loop turn',
      file: CHAIN,
      from: `if ((link + 1) % CALLS_PER_TURN !== 0) return`,
      to: `if (link >= 0) return`,
    },
    {
      name: 'garbageCollect is ignored',
      file: CHAIN,
      from: `if (garbageCollect === true) this.#collects = true;`,
      to: ``,
    },
    {
      name: 'garbage is collected after every batch',
      file: CHAIN,
      from: `    this.#collects = false;\n`,
      to: ``,
    },
    // Calls
    {
      name: 'a reply never reaches its caller',
      file: CALL,
      from: `    this.#owner.onAnswer?.(false, reply);\n    this.#resolve(reply);`,
      to: `    this.#owner.onAnswer?.(false, reply);`,
    },
    {
      name: 'a request hears the late reply that it has given up',
      file: CALL,
      from: `if (!this.leave()) return; // a late reply is dropped`,
      to: `if (!this.leave()) {\n      this.#resolve(reply);\n      return;\n    }`,
    },
    {
      name: 'a promise given as the reply ends the wait at once',
      file: CALL,
      from: `if (isThenable(answer)) this.settleLater(answer, failed);`,
      to: `if (isThenable(answer) && this.leave()) this.settleLater(answer, failed);`,
    },
    {
      name: 'call timeouts never fire',
      file: CALLS,
      from: `else this.#alarm.set(deadline);`,
      to: ``,
    },
    {
      name: 'a timeout takes those along who would wait longer',
      file: CALLS,
      from: `if (call.deadline > now || expired`,
      to: `if (expired`,
    },
    {
      name: 'answered calls are kept as long as one before them waits',
      file: CALLS,
      from: `else if (stale > FEW_STALE && stale > this.#inHeap) this.#heap.keep((call) => call.waits);`,
      to: ``,
    },
    {
      name: 'an abort is not heard',
      file: SERVER,
      from: `if (signal != null) call.listenTo(signal);`,
      to: ``,
    },
    {
      name: 'an answered call still listens to its signal',
      file: CALL,
      from: `    this.#waits = false;\n    if (this.#signal !== undefined) stopListening(this.#signal, this);`,
      to: `    this.#waits = false;`,
    },
    {
      name: 'who waits for room is handled though he has given up',
      file: ADMISSION,
      from: `while (first !== undefined && !first.waits) {`,
      to: `while (first !== undefined && this.#closed) {`,
    },
    // Requests
    {
      name: 'a receive that times out gives nothing up',
      file: REQUESTS,
      from: `      this[PENDING].abandon();\n`,
      to: ``,
    },
    {
      name: 'a receive of a collection that times out gives nothing up',
      file: COLLECTION,
      from: `        id[PENDING].abandon();\n`,
      to: ``,
    },
    {
      name: 'a collection tells what was answered before in the order of adding',
      file: COLLECTION,
      from: `.sort((a, b) => a[PENDING].order - b[PENDING].order)`,
      to: ``,
    },
    {
      name: 'a collection always forgets what it has told',
      file: COLLECTION,
      from: `    if (remove) {`,
      to: `    if (remove || member.label !== undefined) {`,
    },
    {
      name: 'a request may be added twice',
      file: COLLECTION,
      from: `    if (this.#members.has(id)) throw`,
      to: `    if (this.#members.size < 0) throw`,
    },
    {
      name: 'a time that has passed waits for ever',
      file: REQUESTS,
      from: `if (deadline <= clock.now()) return Promise.resolve(this.late());`,
      to: `if (deadline <= clock.now()) return new Promise(() => undefined);`,
    },
    // The end
    {
      name: "stop with 'reject' handles the mailbox",
      file: LIFE,
      from: `    if (!drain) this.#dropMailbox();\n`,
      to: ``,
    },
    {
      name: 'after a crash while it drains the batches that wait are handled',
      file: LIFE,
      from: `    this.#dropMailbox();\n    void this.#shut(false);`,
      to: `    void this.#shut(false);`,
    },
    {
      name: 'messages are accepted while it stops',
      file: ADMISSION,
      from: `    this.open = false;\n    this.#closed = true;\n`,
      to: ``,
    },
    {
      name: 'who waits for a reply at the end goes on waiting',
      file: LOOP,
      from: `    this.#calls.failAll(error);\n`,
      to: ``,
    },
    {
      name: 'who waits for room is let in to what is being given up',
      file: LIFE,
      from: `    this.admission.close();\n    if (!drain)`,
      to: `    this.admission.open = false;\n    if (!drain)`,
    },
    {
      name: 'a suspension outlives a stop',
      file: LOOP,
      from: `    this.#closing = true;\n    this.suspended = false;\n`,
      to: `    this.#closing = true;\n`,
    },
    {
      name: 'a suspension that has not begun is left unsettled by a crash',
      file: LOOP,
      from: `    this.#interludes.failAll(error);\n`,
      to: ``,
    },
    {
      name: 'a batch that was given up is not counted',
      file: LOOP,
      from: `    this.#monitor.counts.failed += this.running;\n`,
      to: ``,
    },
    {
      name: 'a terminate that never ends keeps the server',
      file: LIFE,
      from: `    this.#alarm.set(this.#alarmTime());\n    const summary`,
      to: `    const summary`,
    },
    {
      name: 'the mailbox summary holds one too many',
      file: LIFE,
      from: `(this.config.summaryCount ?? 0) - messages.length`,
      to: `(this.config.summaryCount ?? 0) + 1 - messages.length`,
    },
    {
      name: 'the mailbox summary holds only what fits',
      file: LIFE,
      from: `    this.#left.total += ops.length;\n`,
      to: `    this.#left.total += Math.min(ops.length, this.config.summaryCount ?? 0);\n`,
    },
    // sys
    {
      name: 'a suspension holds nothing back',
      file: SYS,
      from: `if (suspension.wanted) this.#life.loop.suspend();`,
      to: ``,
    },
    {
      name: 'the state is replaced while a batch runs',
      file: LOOP,
      from: `if (!this.busy) this.#step(this.#playInterludes);`,
      to: `this.#step(this.#playInterludes);`,
    },
    {
      name: 'interludes go on after one of them has ended the server',
      file: LOOP,
      from: `this.#interludes.play(() => !this.#ended);`,
      to: `this.#interludes.play(() => true);`,
    },
    {
      name: 'replies are not traced',
      file: CALL,
      from: `this.#owner.onAnswer?.(false, reply);`,
      to: ``,
    },
    {
      name: 'a trace goes on after its end',
      file: SYS,
      from: `      end();\n`,
      to: ``,
    },
    {
      name: 'a formatStatus that throws is not caught',
      file: SYS,
      from: `monitor.report('formatStatus failed', error);`,
      to: `throw error;`,
    },
    {
      name: 'quantiles are too low',
      file: 'src/server/histogram.ts',
      from: `let left = Math.ceil(q * this.count);`,
      to: `let left = Math.ceil(q * q * this.count);`,
      tests: ['test/server/sys', 'test/server/histogram'],
    },
    // Rules of the second version
    {
      name: 'an op is answered twice, the value after a promise',
      file: CALL,
      from: `this.#answered = true;`,
      to: `this.#answered = !isThenable(answer);`,
      tests: FAULTS,
    },
    {
      name: 'fail counts after a reply that is a promise',
      file: CALL,
      from: `if (this.#answered)\n`,
      to: `if (this.#answered && !failed)\n`,
      tests: FAULTS,
    },
    {
      name: 'the rejection of an ignored reply is unhandled',
      file: CALL,
      from: `hush(answer); // the rejection`,
      to: `void 0; // the rejection`,
      tests: FAULTS,
    },
    {
      name: 'an op does not survive a spread',
      file: CALL,
      from: `    this.fail = (error) => {`,
      to: `    Object.defineProperty(this, 'reply', { enumerable: false });\n    this.fail = (error) => {`,
      tests: FAULTS,
    },
    {
      name: 'an idle server keeps the requests of its last burst',
      file: CALLS,
      from: `    this.#forgetStale();\n`,
      to: ``,
      tests: MEMORY,
    },
    {
      name: 'all callers time out in one callback',
      file: CALLS,
      from: `if (call.deadline > now || expired.length === EXPIRIES_PER_TURN) break;`,
      to: `if (call.deadline > now) break;`,
      tests: FAULTS,
    },
    {
      name: 'calls in a mailbox that is emptied in their turn are forgotten',
      file: LOOP,
      from: `    this.#calls.keep(this.#release());\n    return this.mailbox.take(Infinity);`,
      to: `    return this.mailbox.take(Infinity);`,
      tests: FAULTS,
    },
    {
      name: 'calls that a stop hands over in their turn are forgotten',
      file: LOOP,
      from: `    this.#calls.keep(this.#release());\n    this.turn(`,
      to: `    this.#release();\n    this.turn(`,
      tests: FAULTS,
    },
    {
      name: 'a call that joins a batch of its own turn is forgotten',
      file: LOOP,
      from: `if (this.mailbox.taken > this.#ready) this.#calls.keep(ops);`,
      to: ``,
      tests: FAULTS,
    },
    {
      name: 'who waits for room never times out',
      file: ADMISSION,
      from: `    this.#calls.keep([call]);\n`,
      to: ``,
    },
    {
      name: 'the timer of answered calls stays armed',
      file: CALLS,
      from: `if (deadline < Infinity && --this.#timed === 0) this.#alarm.set(Infinity, this.#endedAt);`,
      to: `if (deadline < Infinity) this.#timed--;`,
      tests: FAULTS,
    },
    {
      name: 'the heap pops in no order',
      file: HEAP,
      from: `    if (last !== undefined && this.#items.length > 0) this.#sink(last, 0);`,
      to: `    if (last !== undefined && this.#items.length > 0) this.#items[0] = last;`,
      tests: FAULTS,
    },
    {
      name: 'the heap ignores the right child',
      file: HEAP,
      from: `if (right !== undefined && right.deadline < (items[child] as T).deadline) child++;`,
      to: ``,
      tests: FAULTS,
    },
    {
      name: 'a message is turned away while it is not crowded',
      file: ADMISSION,
      from: `return this.#fits(count) && !this.#hasWaiting();`,
      to: `return false;`,
      tests: FAULTS,
    },
    {
      name: 'room does not come free after a batch',
      file: LOOP,
      from: `    this.onRoom?.();\n`,
      to: ``,
      tests: FAULTS,
    },
    {
      name: 'a message is accepted though a listener has stopped the server',
      file: ADMISSION,
      from: `      if (this.closed) return this.#stoppedError();`,
      to: `      if (this.closed) return undefined;`,
      tests: FAULTS,
    },
    {
      name: 'a castBatch is traced while it is accepted',
      file: LOOP,
      from: `    this.mailbox.pushGroup(entries);\n`,
      to: `    for (const entry of entries) this.accept(entry);\n    if (this.#turning || !this.#turning) return;\n    this.mailbox.pushGroup(entries);\n`,
      tests: FAULTS,
    },
    {
      name: 'a suspension begins while the server drains',
      file: LOOP,
      from: `this.suspended = !this.#closing;`,
      to: `this.suspended = true;`,
      tests: FAULTS,
    },
    {
      name: 'the timeout of a stop that follows a crash is ignored',
      file: LIFE,
      from: `    this.#deadline = this.clock.now() + timeout;\n`,
      to: `    if (this.#shutting === undefined) this.#deadline = this.clock.now() + timeout;\n`,
      tests: FAULTS,
    },
    {
      name: 'user code between batches may start a batch inside itself',
      file: LOOP,
      from: `    const outer = this.#turning;\n    this.#turning = true;\n    try {\n      step();`,
      to: `    const outer = this.#turning;\n    try {\n      step();`,
      tests: FAULTS,
    },
    {
      name: 'a collection refuses the requests of another copy',
      file: COLLECTION,
      from: `if (!isRequestId(id)) throw`,
      to: `if (!(id instanceof RequestId)) throw`,
      tests: FAULTS,
    },
    {
      name: 'a wait on a collection wakes nobody',
      file: COLLECTION,
      from: `      listener();\n`,
      to: ``,
      tests: FAULTS,
    },
    {
      name: 'wrong options of stop throw',
      file: SERVER,
      from: `      return ignorableRejection(error);`,
      to: `      throw error;`,
      tests: FAULTS,
    },
  ] satisfies Mutant[]
).map((mutant) => ({ tests: TESTS, ...mutant }));
