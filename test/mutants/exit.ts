import type { Mutant } from './run-mutants.js';

const SIGNALS = 'collectors/exit-signals.ts';
const CLOSING = 'collectors/exit-closing.ts';
const NATURAL = 'src/collector/exit.ts';
const basic = ['test/collectors/flush-on-exit.long.test.ts'];
const signals = ['test/collectors/exit-signals.long.test.ts'];
const corners = ['test/collectors/exit-corners.long.test.ts'];
const reported = ['test/collector/reported-processes.long.test.ts'];

/** Deliberate bugs of flushOnExit, and of the flush when a process ends by itself. Each test is a process. */
export const EXIT_MUTANTS: readonly Mutant[] = [
  {
    name: 'signals: the same key press again ends the process',
    file: SIGNALS,
    from: `later: false, closing: true }`,
    to: `later: true, closing: true }`,
    tests: signals,
  },
  {
    name: 'signals: a later signal does not end the process',
    file: SIGNALS,
    from: `    if (this.#press.later && !undone) this.#end(signal, alone);\n`,
    to: ``,
    tests: signals,
  },
  {
    name: 'signals: a later signal is raised again for the listeners of the program',
    file: SIGNALS,
    from: `if (!alone || process.pid === 1) exit(signal);`,
    to: `if (process.pid === 1) exit(signal);`,
    tests: signals,
  },
  {
    name: 'signals: two copies of the package act each on its own',
    file: SIGNALS,
    from: `const found = Reflect.get(process, HUB)`,
    to: `const found = Reflect.get({}, HUB)`,
    tests: signals,
  },
  {
    name: 'signals: a program that listens and never ends lives on',
    file: SIGNALS,
    from: `        this.#leave(signal, timeout);\n`,
    to: ``,
    tests: signals,
  },
  {
    name: 'signals: a listener that was added while closing keeps the process',
    file: SIGNALS,
    from: `    setTimeout(exit, RAISED, signal);\n`,
    to: ``,
    tests: signals,
  },
  {
    name: 'signals: an exit listener that throws keeps the process',
    file: SIGNALS,
    from: `    process.exit(code); // a listener of 'exit' threw: none is called a second time`,
    to: `    return undefined as never;`,
    tests: signals,
  },
  {
    name: 'signals: stages are closed at the same time',
    file: CLOSING,
    from: `    await closeStage(stage,`,
    to: `    void closeStage(stage,`,
    tests: signals,
  },
  {
    name: 'signals: a stage that hangs takes all of the time',
    file: CLOSING,
    from: `const SHARE = 0.75;`,
    to: `const SHARE = 1;`,
    tests: signals,
  },
  {
    name: 'signals: the deadline is left to what is closed',
    file: CLOSING,
    from: `const timer = setTimeout(late, `,
    to: `const timer = setTimeout(() => undefined, `,
    tests: signals,
  },
  {
    name: 'basic: the ending is not left to a listener of the program',
    file: SIGNALS,
    from: `const alone = process.listenerCount(signal) === 1 && !watch.left;`,
    to: `const alone = !watch.left;`,
    tests: basic,
  },
  {
    name: 'corners: a listener that was removed before ours is called is none of the program',
    file: SIGNALS,
    from: `const alone = process.listenerCount(signal) === 1 && !watch.left;`,
    to: `const alone = process.listenerCount(signal) === 1;`,
    tests: corners,
  },
  {
    name: 'basic: undoing leaves the listener',
    file: SIGNALS,
    from: `    process.off(signal, watch.listener);\n`,
    to: ``,
    tests: basic,
  },
  {
    name: 'basic: what could not be closed is not warned of',
    file: CLOSING,
    from: `  } catch (error) {\n    warn(error);`,
    to: `  } catch {`,
    tests: basic,
  },
  {
    name: 'basic: nothing is flushed when a process ends by itself',
    file: NATURAL,
    from: `    void batcher.flush();\n`,
    to: ``,
    tests: basic,
  },
  {
    name: 'basic: a batch that cannot be delivered is flushed at each end, without end',
    file: NATURAL,
    from: `    pending.delete(batcher);\n    void`,
    to: `    void`,
    tests: basic,
  },
  {
    name: 'reported: what is pending at the end is not warned of',
    file: NATURAL,
    from: `for (const batcher of flushed) if (!made.pending.has(batcher)) batcher.ends();`,
    to: ``,
    tests: reported,
  },
  {
    name: 'corners: a listener that was removed long ago counts for good',
    file: SIGNALS,
    from: `      watch.left = false;\n`,
    to: ``,
    tests: corners,
  },
  {
    name: 'corners: a signal read late, after a block, counts as another key press',
    file: SIGNALS,
    from: `setTimeout(() => setTimeout(isLater, LOOKING).unref(), KEY_PRESS - LOOKING)`,
    to: `setTimeout(isLater, KEY_PRESS)`,
    tests: corners,
  },
  {
    name: 'corners: what is closed on the second of two signals is not closed',
    file: SIGNALS,
    from: `    this.#press.watches.add(watch);`,
    to: `    `,
    tests: corners,
  },
  {
    name: 'corners: undone while closing, the repetition cuts off what was begun',
    file: SIGNALS,
    from: ` && this.#press?.closing !== true`,
    to: ``,
    tests: corners,
  },
  {
    name: 'corners: removeAllListeners takes our listener for good',
    file: SIGNALS,
    from: `if (!process.listeners(signal).includes(watch.listener))`,
    to: `if (watch.registrations.size === 1)`,
    tests: corners,
  },
  {
    name: 'corners: a worker of a cluster exits with its primary, in the middle of its flush',
    file: SIGNALS,
    from: `  worker.exitedAfterDisconnect = true;\n`,
    to: ``,
    tests: corners,
  },
  {
    name: 'corners: a worker of a cluster outlives its primary for good',
    file: SIGNALS,
    from: `        release();\n`,
    to: ``,
    tests: corners,
  },
  {
    name: 'corners: what is registered while closing is not closed',
    file: CLOSING,
    from: `if (next.length === 0) return;`,
    to: `if (next.length === 0 || begun.size > 0) return;`,
    tests: corners,
  },
  {
    name: 'corners: what registers another one when it is closed keeps the process',
    file: CLOSING,
    from: `    if (left === 0) return;`,
    to: `    `,
    tests: corners,
  },
  {
    name: 'corners: a batch that a listener of the end begins is not flushed',
    file: NATURAL,
    from: `    made.ending = true;\n`,
    to: ``,
    tests: corners,
  },
];
