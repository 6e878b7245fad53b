import type { Mutant } from './run-mutants.js';

const LANES = 'collectors/keyed/lanes.ts';
const KEYS = 'collectors/keyed/keys.ts';
const ENTRANCE = 'collectors/keyed/entrance.ts';
const by = ['test/collectors/keyed/'];
const tests = [...by, 'test/sim/keyed/'];

/** Deliberate bugs of KeyedBatcher. */
export const KEYED_MUTANTS: readonly Mutant[] = [
  {
    name: 'keyed: the lanes hold per key',
    file: LANES,
    from: `    if (this.#used >= this.limit) {`,
    to: `    if (this.#used > this.limit + 1) {`,
    by,
    tests,
  },
  {
    name: 'keyed: batches of one key overlap',
    file: 'collectors/keyed/options.ts',
    from: `keyConcurrency: keyConcurrency ?? 1,`,
    to: `keyConcurrency: keyConcurrency ?? Infinity,`,
    by,
    tests,
  },
  {
    name: 'keyed: a hot key keeps its lane while others wait',
    file: LANES,
    from: `    if (this.#queue.size > 0) this.#schedule();\n    else if (`,
    to: `    if (`,
    by,
    tests,
  },
  {
    name: 'keyed: pause leaves seats ready',
    file: LANES,
    from: `    for (const seat of this.#ready) this.#revoke(seat);\n  }\n\n  resume`,
    to: `  }\n\n  resume`,
    by,
    tests,
  },
  {
    name: 'keyed: a busy key is given up',
    file: KEYS,
    from: `      this.#idle.delete(entry);\n      this.busy.add(entry);`,
    to: `      this.busy.add(entry);`,
    by,
    tests,
  },
  {
    name: 'keyed: counts of removed keys are lost',
    file: KEYS,
    from: `    add(this.gone, collector.state.counts);\n`,
    to: ``,
    by,
    tests,
  },
  {
    name: 'keyed: maxPending holds per key',
    file: ENTRANCE,
    from: `(this.crowded && !made) || keys.pending >= this.maxPending)`,
    to: `(this.crowded && !made) || (keys.all.get(key)?.pending ?? 0) >= this.maxPending)`,
    by,
    tests,
  },
  {
    name: 'keyed: later adds overtake callers that wait for room',
    file: ENTRANCE,
    from: `(this.crowded && !made) || keys.pending`,
    to: `keys.pending`,
    by,
    tests,
  },
  {
    name: 'keyed: a caller that waits for room demands nothing',
    file: ENTRANCE,
    from: `    (full ? this.#forItems : this.#forKeys).add(waiting);\n    this.#demand();`,
    to: `    (full ? this.#forItems : this.#forKeys).add(waiting);`,
    by,
    tests,
  },
  {
    name: 'keyed: a caller that waits never drops',
    file: ENTRANCE,
    from: `return first?.drops === true && this.#dropOldest(this.#overflowError());`,
    to: `return false;`,
    by,
    tests,
  },
  {
    name: 'keyed: a listener of a drop takes its room',
    file: ENTRANCE,
    from: `if (this.#dropping || (this.crowded`,
    to: `if ((this.crowded`,
    by,
    tests,
  },
  {
    name: 'keyed: a later add drops for the callers that wait',
    file: ENTRANCE,
    from: `(!waitsBehind || made) && this`,
    to: `this`,
    by,
    tests,
  },
  {
    name: 'keyed: an item for which a batch was dropped waits behind what its listener adds again',
    file: ENTRANCE,
    from: `(this.crowded && !made)`,
    to: `this.crowded`,
    by,
    tests,
  },
  {
    name: 'keyed: batches of a key that stays busy are dropped for another key',
    file: ENTRANCE,
    from: `        if (!forItem && entry.inFlight) continue;\n`,
    to: ``,
    by,
    tests,
  },
  {
    name: 'keyed: configure leaves the concurrency of kept keys',
    file: 'collectors/keyed/group.ts',
    from: `configure({ ...perKey, flushConcurrency: config.keyConcurrency });`,
    to: `configure(perKey);`,
    by,
    tests,
  },
];
