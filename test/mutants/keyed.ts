import type { Mutant } from './run-mutants.js';

const LANES = 'collectors/keyed/lanes.ts';
const KEYS = 'collectors/keyed/keys.ts';
const ENTRANCE = 'collectors/keyed/entrance.ts';
const tests = ['test/collectors/keyed/', 'test/sim/keyed/'];

/** Deliberate bugs of KeyedBatcher. */
export const KEYED_MUTANTS: readonly Mutant[] = [
  {
    name: 'keyed: the lanes hold per key',
    file: LANES,
    from: `    if (this.#used >= this.limit) {`,
    to: `    if (this.#used > this.limit + 1) {`,
    tests,
  },
  {
    name: 'keyed: batches of one key overlap',
    file: LANES,
    from: `const another = seat.running < this.perKey && this`,
    to: `const another = this`,
    tests,
  },
  {
    name: 'keyed: a hot key keeps its lane while others wait',
    file: LANES,
    from: `    if (this.#queue.size > 0) this.#schedule();\n    else if (`,
    to: `    if (`,
    tests,
  },
  {
    name: 'keyed: pause leaves seats ready',
    file: LANES,
    from: `    for (const seat of this.#ready) this.#revoke(seat);\n  }\n\n  resume`,
    to: `  }\n\n  resume`,
    tests,
  },
  {
    name: 'keyed: a busy key is given up',
    file: KEYS,
    from: `      this.#idle.delete(entry);\n      this.busy.add(entry);`,
    to: `      this.busy.add(entry);`,
    tests,
  },
  {
    name: 'keyed: counts of removed keys are lost',
    file: KEYS,
    from: `    add(this.gone, collector.state.counts);\n`,
    to: ``,
    tests,
  },
  {
    name: 'keyed: maxPending holds per key',
    file: ENTRANCE,
    from: `    if (this.crowded || keys.pending >= this.maxPending) return undefined;`,
    to: `    if ((keys.all.get(key)?.pending ?? 0) >= this.maxPending) return undefined;`,
    tests,
  },
  {
    name: 'keyed: later adds overtake callers that wait for room',
    file: ENTRANCE,
    from: `    if (this.crowded || keys.pending >= this.maxPending) return undefined;`,
    to: `    if (keys.pending >= this.maxPending) return undefined;`,
    tests,
  },
  {
    name: 'keyed: a caller that waits for room demands nothing',
    file: ENTRANCE,
    from: `    (full ? this.#forItems : this.#forKeys).add(waiting);\n    this.#demand();`,
    to: `    (full ? this.#forItems : this.#forKeys).add(waiting);`,
    tests,
  },
];
