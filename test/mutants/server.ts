import type { Mutant } from './run-mutants.js';

const CALLS = 'src/server/calls.ts';
const LIFE = 'src/server/lifecycle.ts';
const LIMIT = 'src/server/limit.ts';
const LOOP = 'src/server/loop.ts';
const MAILBOX = 'src/server/mailbox.ts';
const REQUESTS = 'src/server/requests.ts';
const SERVER = 'src/server/batch-server.ts';
const SYS = 'src/server/sys.ts';
const GROWTH = 'src/server/growth.ts';

/** Its own tests, without the simulation, which takes longer than all others. */
const TESTS = ['test/server/'];

/** Deliberate bugs of the batch server. */
export const SERVER_MUTANTS: readonly Mutant[] = (
  [
    // Growth
    {
      name: 'empty is tested before full: an exactly full batch shrinks the limit',
      file: LOOP,
      from: `this.size.adapt(size, flight.reason === 'size', duration);`,
      to: `this.size.adapt(size, size > limit, duration);`,
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
      from: `if (flight.batch.task !== undefined) return;`,
      to: ``,
    },
    // Batches
    {
      name: 'hardLimit is ignored',
      file: MAILBOX,
      from: `hardLimit ? undefined : (to)`,
      to: `(to)`,
    },
    {
      name: 'a castBatch is torn apart',
      file: SERVER,
      from: `if (count > 1) this.#mailbox.group(accepted, accepted + count);`,
      to: ``,
    },
    {
      name: 'a castBatch is read while it is taken',
      file: SERVER,
      from: `    const list = [...messages];`,
      to: `    const list = messages as readonly Cast[];`,
    },
    {
      name: 'reversedBatch is ignored',
      file: LOOP,
      from: `if (this.#config.reversedBatch) batch.ops.reverse();`,
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
      from: `return message instanceof Call || message instanceof Wrapped ?`,
      to: `return message instanceof Wrapped ?`,
    },
    {
      name: 'a part of a castBatch is let in where there is no room for all',
      file: SERVER,
      from: `if (!this.#life.open && this.#turnsAway('cast', count)) return false;`,
      to: `if (!this.#life.open && this.#turnsAway('cast', 1)) return false;`,
    },
    {
      name: 'refused is not counted',
      file: SERVER,
      from: `if (counts) this.#loop.counts.refused += count;`,
      to: ``,
    },
    {
      name: 'refused is not emitted',
      file: SERVER,
      from: `    this.#life.events.emit('refused', { name: this.#life.config.name, kind, count, error });\n`,
      to: ``,
    },
    {
      name: 'nothing is ever dropped for newer ones',
      file: SERVER,
      from: `if (!this.#intake.refuseOldest(full)) break;`,
      to: `break;`,
    },
    // Hooks
    {
      name: 'the continue chain comes after the next message',
      file: LOOP,
      from: `else if (term !== undefined) return this.continue(term, links);`,
      to: `else if (term !== undefined) {\n      this.finish();\n      setImmediate(() => void this.continue(term, links));\n    }`,
    },
    {
      name: 'start resolves after the continue chain',
      file: LIFE,
      from: `      // Whoever started it hears of that before the chain.\n      await new Promise<void>((resolve) => endOfTurn(this.#clock, resolve));\n`,
      to: ``,
    },
    {
      name: 'with { state, stop } terminate sees the old state',
      file: LOOP,
      from: `    const term = this.adopt(next);\n    if (next.stop`,
      to: `    const term = next.stop === undefined ? this.adopt(next) : undefined;\n    if (next.stop`,
    },
    {
      name: 'another shape is taken for nothing',
      file: 'src/server/next.ts',
      from: `if (!FIELDS.has(field)) throw`,
      to: `if (field === '') throw`,
    },
    {
      name: 'a crash goes by without terminate',
      file: LIFE,
      from: `if (this.#made) await this.#terminate(deadline);`,
      to: `if (this.#made && this.#ending?.failed !== true) await this.#terminate(deadline);`,
    },
    {
      name: 'a failed init calls terminate',
      file: LIFE,
      from: `if (this.#made) await this.#terminate(deadline);`,
      to: `await this.#terminate(deadline);`,
    },
    {
      name: 'what a hook answers after the end still counts',
      file: LOOP,
      from: `    if (this.over) return undefined;\n    if (given === undefined) {`,
      to: `    if (given === undefined) {`,
    },
    {
      name: 'an endless continue chain never lets the event loop turn',
      file: LOOP,
      from: `if ((links + 1) % LINKS_PER_TURN === 0) {`,
      to: `if (links < 0) {`,
    },
    {
      name: 'garbageCollect is ignored',
      file: LOOP,
      from: `if (garbageCollect === true) this.#collects = true;`,
      to: ``,
    },
    {
      name: 'garbage is collected after every batch',
      file: LOOP,
      from: `    this.#collects = false;\n`,
      to: ``,
    },
    // Calls
    {
      name: 'a reply never reaches its caller',
      file: CALLS,
      from: `    queue.owner.onAnswer?.(false, value);\n    this.#resolve(value);`,
      to: `    queue.owner.onAnswer?.(false, value);`,
    },
    {
      name: 'a request hears the late reply that it has given up',
      file: CALLS,
      from: `if (queue === undefined) return; // a late reply is dropped`,
      to: `if (queue === undefined) {\n      this.#resolve(value);\n      return;\n    }`,
    },
    {
      name: 'a promise given as the reply ends the wait at once',
      file: CALLS,
      from: `    if (isThenable(value)) {`,
      to: `    if (isThenable(value) && this.leave() === undefined) {`,
    },
    {
      name: 'call timeouts never fire',
      file: CALLS,
      from: `    this.#alarm.set(earliest);`,
      to: ``,
    },
    {
      name: 'a timeout takes those along who would wait longer',
      file: CALLS,
      from: `if (call.deadline > now) break;`,
      to: ``,
    },
    {
      name: 'answered calls are kept as long as one before them waits',
      file: CALLS,
      from: `if (queue.gone >= FEW_GONE && queue.gone * 2 >= queue.size) Call.sift(queue);`,
      to: ``,
    },
    {
      name: 'an abort is not heard',
      file: SERVER,
      from: `    signal.addEventListener('abort', onAbort, { once: true });\n`,
      to: ``,
    },
    {
      name: 'an answered call still listens to its signal',
      file: SERVER,
      from: `        signal.removeEventListener('abort', onAbort);\n        resolve(reply);`,
      to: `        resolve(reply);`,
    },
    {
      name: 'who waits for room is handled though he has given up',
      file: SERVER,
      from: `if (call.waits) this.#take(call);`,
      to: `this.#take(call);`,
    },
    // Requests
    {
      name: 'a receive that times out gives nothing up',
      file: REQUESTS,
      from: `      this.#pending.abandon();\n`,
      to: ``,
    },
    {
      name: 'a receive of a collection that times out gives nothing up',
      file: REQUESTS,
      from: `        pendingOf(id).abandon();\n`,
      to: ``,
    },
    {
      name: 'a collection tells what was answered before in the order of adding',
      file: REQUESTS,
      from: `.sort((a, b) => pendingOf(a).order - pendingOf(b).order)`,
      to: ``,
    },
    {
      name: 'a collection always forgets what it has told',
      file: REQUESTS,
      from: `    if (remove) {`,
      to: `    if (remove || member.label !== undefined) {`,
    },
    {
      name: 'a request may be added twice',
      file: REQUESTS,
      from: `    if (this.#members.has(id)) throw`,
      to: `    if (this.#members.size < 0) throw`,
    },
    {
      name: 'a time that has passed waits for ever',
      file: REQUESTS,
      from: `  if (deadline <= clock.now()) return Promise.resolve(late());`,
      to: `  if (deadline <= clock.now()) return new Promise(() => undefined);`,
    },
    // The end
    {
      name: "stop with 'reject' handles the mailbox",
      file: LIFE,
      from: `    if (!drain) this.#giveUp();\n    const closed = this.engine.close(timeout, drain);`,
      to: `    const closed = this.engine.close(timeout, true);`,
    },
    {
      name: 'after a crash the batches that wait are handled',
      file: LIFE,
      from: `    this.#giveUp();\n    void this.#shut(Infinity, false);`,
      to: `    void this.#shut(Infinity, true);`,
    },
    {
      name: 'messages are accepted while it stops',
      file: LIFE,
      from: `    this.admits = -1;\n    this.open = false;\n`,
      to: ``,
    },
    {
      name: 'who waits for a reply at the end goes on waiting',
      file: LIFE,
      from: `    this.calls.failAll(error);\n`,
      to: ``,
    },
    {
      name: 'who waits for room is let in to what is being given up',
      file: LIFE,
      from: `    this.room.close();\n`,
      to: ``,
    },
    {
      name: 'a suspension outlives a stop',
      file: LIFE,
      from: `    this.resume?.();\n`,
      to: ``,
    },
    {
      name: 'a suspension that has not begun is left unsettled by a crash',
      file: LIFE,
      from: `    loop.failInterludes(error);\n`,
      to: ``,
    },
    {
      name: 'a batch that was given up is not counted',
      file: LIFE,
      from: `    for (const { ops } of batches) loop.counts.failed += ops.length;\n`,
      to: ``,
    },
    {
      name: 'a terminate that never ends keeps the server',
      file: LIFE,
      from: `Math.max(deadline - this.#clock.now(), TERMINATE_GRACE)`,
      to: `2 ** 30`,
    },
    {
      name: 'the mailbox summary holds one too many',
      file: LOOP,
      from: `this.left.total++ < (this.#config.summaryCount ?? 0)`,
      to: `this.left.total++ <= (this.#config.summaryCount ?? 0)`,
    },
    {
      name: 'the mailbox summary holds only what fits',
      file: LOOP,
      from: `} else if (this.left.total++ < (this.#config.summaryCount ?? 0)) this.left.messages.push(op);`,
      to: `} else if (this.left.total < (this.#config.summaryCount ?? 0)) this.left.total = this.left.messages.push(op);`,
    },
    // sys
    {
      name: 'a suspension holds nothing back',
      file: SYS,
      from: `        return resumed.promise;`,
      to: `        return undefined;`,
    },
    {
      name: 'the state is replaced while a batch runs',
      file: LOOP,
      from: `    if (!this.busy) this.#playInterludes();`,
      to: `    this.#playInterludes();`,
    },
    {
      name: 'replies are not traced',
      file: CALLS,
      from: `queue.owner.onAnswer?.(false, value);`,
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
      from: `      loop.report('formatStatus failed', error);`,
      to: `      throw error;`,
    },
    {
      name: 'quantiles are too low',
      file: 'src/server/histogram.ts',
      from: `let left = Math.ceil(q * this.count);`,
      to: `let left = Math.ceil(q * q * this.count);`,
      tests: ['test/server/sys', 'test/server/histogram'],
    },
  ] satisfies Mutant[]
).map((mutant) => ({ tests: TESTS, ...mutant }));
