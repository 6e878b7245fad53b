import type { Mutant } from './run-mutants.js';

const ENGINE = 'src/core/engine.ts';
const INTAKE = 'src/core/intake.ts';
const LEDGER = 'src/core/ledger.ts';
const ROOM = 'src/core/admission.ts';
const COLLECTOR = 'src/collector/hooks.ts';
const MAIN = 'src/collector/batch-please.ts';

/** Deliberate bugs of the kernel and of the collector. */
export const KERNEL_MUTANTS: readonly Mutant[] = [
  {
    name: 'age counts from the last add: a debounce',
    file: LEDGER,
    from: `    this.ready += count;\n    this.weight += weight;`,
    to: `    this.ready += count;\n    this.openedAt = performance.now();\n    this.weight += weight;`,
  },
  {
    name: 'an entry joins while another is on its way',
    file: INTAKE,
    from: `return this.#ledger.entering === this.#ledger.ready && !this.#asking;`,
    to: `return !this.#asking;`,
  },
  {
    name: 'one lane too many',
    file: LEDGER,
    from: `lane < limits.lanes; lane++`,
    to: `lane <= limits.lanes; lane++`,
  },
  {
    name: 'size: one too many',
    file: LEDGER,
    from: `if (this.size >= this.limits.size) return 'size';`,
    to: `if (this.size > this.limits.size) return 'size';`,
  },
  {
    name: 'weight: the limit itself does not count',
    file: LEDGER,
    from: `if (this.weight >= this.limits.weight) return 'weight';`,
    to: `if (this.weight > this.limits.weight) return 'weight';`,
  },
  {
    name: 'an item that just fits makes way',
    file: INTAKE,
    from: `if (ledger.weight + weight > ledger.limits.weight)`,
    to: `if (ledger.weight + weight >= ledger.limits.weight)`,
  },
  {
    name: 'a retry gives its lane back: later batches overtake',
    file: LEDGER,
    from: `  park(cut: Cut, deadline: number): void {`,
    to: `  park(cut: Cut, deadline: number): void {\n    this.#idle.push(0);`,
  },
  {
    name: 'a late success is heard',
    file: ENGINE,
    from: `  #succeed(flight: Flight<Batch>, run: number, result: unknown): void {\n    if (run <= flight.ended) return;`,
    to: `  #succeed(flight: Flight<Batch>, run: number, result: unknown): void {\n    if (run < 0) return;`,
  },
  {
    name: 'flush timeouts are not armed',
    file: LEDGER,
    from: `cut.deadline = now + this.limits.attempt;`,
    to: `cut.deadline = Infinity;`,
  },
  {
    name: 'add hooks may take for ever',
    file: INTAKE,
    from: `ledger.entryDeadline = this.#clock.now() + ledger.limits.entry;`,
    to: `ledger.entryDeadline = Infinity;`,
  },
  {
    name: 'flush does not cover what is in flight',
    file: LEDGER,
    from: `for (const cut of this.active) if (cut.lane >= 0 && cut.from < low) low = cut.from;`,
    to: ``,
  },
  {
    name: 'a demand does not skip back-off',
    file: LEDGER,
    from: `for (const cut of this.active) if (cut.parked) cut.deadline = -Infinity;`,
    to: ``,
  },
  {
    name: 'held batches are not tried at a trigger',
    file: LEDGER,
    from: `cut.deadline <= now || cut.heldAt < this.#fired)`,
    to: `cut.deadline <= now)`,
  },
  {
    name: 'a held batch goes at once again',
    file: LEDGER,
    from: `    cut.heldAt = this.#fired;`,
    to: `    cut.heldAt = this.#fired - 1;`,
  },
  {
    name: 'delivered counts batches',
    file: COLLECTOR,
    from: `this.counts.delivered += flight.size;`,
    to: `this.counts.delivered += 1;`,
  },
  {
    name: 'refused is not counted',
    file: COLLECTOR,
    from: `    this.counts.refused++;`,
    to: ``,
  },
  {
    name: 'room that comes free lets nobody in',
    file: COLLECTOR,
    from: `    this.#admit();\n`,
    to: ``,
  },
  {
    name: 'who waits for room demands nothing',
    file: ROOM,
    from: `      this.#waiting.push(waiting);\n      this.#demand();`,
    to: `      this.#waiting.push(waiting);`,
  },
  {
    name: 'an abort leaves the waiter in the queue',
    file: ROOM,
    from: `          this.#waiting.remove(waiting);\n`,
    to: ``,
  },
  {
    name: 'close does not wait for what is in flight',
    file: ENGINE,
    from: `return empty && ledger.active.length === 0 && ledger.queue.length === 0;`,
    to: `return empty && ledger.queue.length === 0;`,
  },
  {
    name: 'dropOldest drops the newest that is parked',
    file: LEDGER,
    from: `    let oldest = this.queue.peek();`,
    to: `    let oldest: Cut | undefined;\n    for (const cut of this.queue) oldest = cut;`,
  },
  {
    name: 'the interval drifts',
    file: LEDGER,
    from: `const next = this.#origin + (Math.floor((now - this.#origin) / interval) + 1) * interval;`,
    to: `const next = now + interval;`,
  },
  {
    name: 'a postFlush that fails delivers the batch again',
    file: ENGINE,
    from: `    this.#settle(flight);\n    if (typeof verdict !== 'number' || this.#closing !== undefined) {`,
    to: `    flight.chore = undefined;\n    this.#settle(flight);\n    if (typeof verdict !== 'number' || this.#closing !== undefined) {`,
  },
  {
    name: 'turns nest',
    file: ENGINE,
    from: `    if (this.#turning) return false;`,
    to: ``,
  },
  {
    name: 'an alarm beyond the longest timer',
    file: 'src/core/clock.ts',
    from: `Math.ceil(Math.min(Math.max(wait, 0), LONGEST_TIMER))`,
    to: `Math.ceil(Math.max(wait, 0))`,
    tests: ['test/core', 'test/abuse'],
  },
  {
    name: 'a shouldFlush that throws is not caught',
    file: COLLECTOR,
    from: `    } catch (error) {\n      report(error);\n      return false;`,
    to: `    } catch (error) {\n      report(error);\n      throw error;`,
  },
  {
    name: 'an item is taken after close',
    file: MAIN,
    from: `if (this.#closed !== undefined) return this.#turnAway(item, new ClosedError('it takes no more items'), heard);`,
    to: ``,
  },
];
