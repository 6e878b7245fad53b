import { spawnSync } from 'node:child_process';
import { commonJsOf } from '../support/built.js';
import { child, on } from '../support/child.js';
import { testUnless } from '../support/skips.js';

// Real processes, signals and time: see flush-on-exit.long.test.ts.

jest.setTimeout(60_000);

/** The package as CommonJS, beside the ES modules that the prelude imports. */
const commonJs = `
import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
const path = ${commonJsOf('collectors/index.ts')};
/** A fresh copy, as after a hot reload. */
const load = () => { delete require.cache[path]; return require(path); };
`;

/** Prints how long after the signal the process ended. */
const timed = `
let pressed; process.on('exit', (code) => say('exit ' + code));
`;

describe('one key press', () => {
  test('is one signal, however often wrappers send it on: what was begun is delivered', async () => {
    // As npm with bash does, and concurrently: the terminal signals the whole group, and the wrapper signals its child.
    const forward = `"$@" & child=$!; trap 'kill -INT $child; sleep 0.05; kill -INT $child' INT; wait $child; wait $child; exit $?`;
    const ended = await child(
      `const a = batcherOf('a', { takes: 500 }); a.addItems([1, 2, 3]); flushOnExit(a); stayAlive(); say('ready');`,
      (line, shell) => {
        if (line === 'ready' && shell.pid !== undefined) process.kill(-shell.pid, 'SIGINT');
      },
      ['bash', '-c', forward, 'bash'],
    );
    expect(ended).toMatchObject({ code: 130, lines: ['ready', 'a began', 'a [1,2,3]'] });
  });

  test('also as SIGINT and then SIGTERM', async () => {
    const ended = await child(
      `const a = batcherOf('a', { takes: 300 }); a.addItem(1); flushOnExit(a); stayAlive(); say('ready');`,
      (line, process) => {
        if (line === 'ready') process.kill('SIGINT');
        if (line === 'a began') process.kill('SIGTERM');
      },
    );
    expect(ended).toMatchObject({ signal: 'SIGINT', lines: ['ready', 'a began', 'a [1]'] });
  });

  test('a later one ends the process at once, although the program listens as well', async () => {
    const ended = await child(
      `const a = batcherOf('a', { takes: 18_000 }); a.addItem(1); flushOnExit(a); stayAlive();
       let n = 0; process.on('SIGTERM', () => { say('own ' + ++n); setTimeout(say, 1500, 'later'); }); say('ready');`,
      (line, process) => {
        if (line === 'ready' || line === 'later') process.kill('SIGTERM');
      },
    );
    expect(ended).toMatchObject({ code: 143, lines: ['ready', 'a began', 'own 1', 'later'] });
  });
});

describe('stages', () => {
  const program = (closables: string): string => `
    const logs = new MemoryBatcher({ async batchFlush({ items }) { await null; say('shipped ' + items.join()); } });
    const rows = new MemoryBatcher({ async batchFlush({ items }) { await sleep(50); logs.addItem('stored ' + items.length); } });
    rows.addItem(1); flushOnExit(${closables}); stayAlive(); say('ready');`;

  test.each(['[rows, [logs]]', '[[rows], [logs]]', '[[rows], logs]', '[[rows], [], new Set([logs])]'])(
    '%s: a logger is closed after what logs into it, so that its last lines are delivered',
    async (closables) => {
      const ended = await child(program(closables), on('ready', 'SIGTERM'));
      expect(ended).toMatchObject({ signal: 'SIGTERM', lines: ['ready', 'shipped stored 1'], stderr: '' });
    },
  );

  test('one that hangs leaves a part of the time to those after it', async () => {
    const ended = await child(
      `const logs = batcherOf('logs'); logs.addItem(1);
       flushOnExit([{ close: () => new Promise(() => {}) }, [logs]], { timeout: 6000 }); stayAlive(); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ signal: 'SIGTERM', lines: ['ready', 'logs began', 'logs [1]'] });
    expect(ended.stderr).toContain('1 of 1 did not close within 4500 ms');
  });
});

describe('the deadline', () => {
  test.each([
    ['a closable that never settles', `flushOnExit({ close: () => new Promise(() => {}) }, { timeout: 200 });`],
    [
      'a batcher that the program is closing already, within 30 s',
      `const a = batcherOf('a', { takes: 18_000 }); a.addItem(1); a.close().catch(() => {}); flushOnExit(a, { timeout: 200 });`,
    ],
    [
      'one whose close is a getter that throws',
      `const a = { n: 0, get close() { if (this.n++ > 0) throw new Error('no'); return () => {}; } }; flushOnExit(a);`,
    ],
    [
      'one that rejects with what cannot be printed',
      `flushOnExit({ close: () => Promise.reject(Object.create(null)) });`,
    ],
    [
      'warnings that throw',
      `process.emitWarning = () => { throw new Error('no'); }; flushOnExit({ close: () => Promise.reject(new Error('x')) });`,
    ],
  ])('A8: %s: the process ends by the signal', async (_what, program) => {
    const ended = await child(
      `${program} stayAlive(); setTimeout(() => { say('still alive'); process.exit(99); }, 20_000); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ code: null, signal: 'SIGTERM' });
    expect(ended.lines).not.toContain('still alive');
  });

  test('a program that listens and never ends the process: it ends after another timeout, with 128 + n', async () => {
    const ended = await child(
      `${timed} const a = batcherOf('a'); a.addItem(1); flushOnExit(a, { timeout: 300 });
       process.on('SIGTERM', () => say('own')); stayAlive(); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ code: 143, signal: null, lines: ['ready', 'a began', 'own', 'a [1]', 'exit 143'] });
  });

  test('a program that runs out of work after its own listener ends by itself', async () => {
    const ended = await child(
      `${timed} const a = batcherOf('a'); a.addItem(1); flushOnExit(a, { timeout: 15_000 });
       const server = stayAlive(); process.on('SIGTERM', () => clearInterval(server)); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ code: 0, signal: null, lines: ['ready', 'a began', 'a [1]', 'exit 0'] });
  });

  test('an exit listener that throws does not keep the process', async () => {
    const ended = await child(
      `process.on('exit', () => { throw new Error('no'); }); process.on('uncaughtException', () => {});
       flushOnExit([], { timeout: 100 }); process.on('SIGTERM', () => {}); stayAlive(); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ code: 143, signal: null });
  });

  test('undone by the program after the signal: ending is left to the program alone', async () => {
    const ended = await child(
      `const a = batcherOf('a'); a.addItem(1); const undo = flushOnExit(a, { timeout: 200 });
       process.on('SIGTERM', async () => { undo(); await sleep(1000); process.exit(7); }); stayAlive(); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ code: 7, lines: ['ready', 'a began', 'a [1]'] });
  });

  test('a listener that was added while closing does not keep the process', async () => {
    const ended = await child(
      `flushOnExit({ async close() { process.on('SIGTERM', () => say('own')); } }); stayAlive(); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ code: 143, lines: ['ready', 'own'] });
  });
});

describe('others who listen for the signal', () => {
  test('signal-exit, which leaves the ending to us as we leave it to others', async () => {
    const ended = await child(
      `import { onExit } from 'signal-exit';
       onExit((code, signal) => say('cleaning up ' + code + ' ' + signal));
       const a = batcherOf('a'); a.addItem(1); flushOnExit(a, { timeout: 500 }); stayAlive(); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ code: 143, lines: ['ready', 'a began', 'a [1]', 'cleaning up 143 null'] });
  });

  test('signal-exit, and the signal again: at once', async () => {
    const ended = await child(
      `import { onExit } from 'signal-exit'; onExit(() => say('cleaning up'));
       const a = batcherOf('a'); a.addItem(1); flushOnExit(a, { timeout: 15_000 }); stayAlive();
       process.on('SIGHUP', () => setTimeout(say, 1500, 'later')); say('ready');`,
      (line, process) => {
        if (line === 'ready' || line === 'later') process.kill('SIGTERM');
        if (line === 'a [1]') process.kill('SIGHUP');
      },
    );
    expect(ended).toMatchObject({ code: 143, lines: ['ready', 'a began', 'a [1]', 'later', 'cleaning up'] });
  });

  test('an ESM and a CommonJS copy of the package act as one', async () => {
    const ended = await child(
      `${commonJs} const cjs = load();
       const [a, b] = [batcherOf('a'), new cjs.MemoryBatcher({ batchFlush: ({ items }) => say('b ' + items) })];
       a.addItem(1); b.addItem(2); flushOnExit(a); cjs.flushOnExit(b);
       say('two copies ' + (cjs.flushOnExit !== flushOnExit)); say('listeners ' + process.listenerCount('SIGTERM'));
       stayAlive(); setTimeout(() => { say('still alive'); process.exit(99); }, 20_000); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ code: null, signal: 'SIGTERM' });
    expect(ended.lines).toEqual(['two copies true', 'listeners 1', 'ready', 'a began', 'b 2', 'a [1]']);
  });

  test('twelve hot reloads: one listener each, no warning, and undoing works across them', async () => {
    const ended = await child(
      `${commonJs} const undos = [];
       for (let i = 0; i < 12; i++) { const copy = load(); const b = new copy.MemoryBatcher({ batchFlush: () => say('flushed') }); b.addItem(1);
         undos.push(copy.flushOnExit(b)); }
       const count = () => ['beforeExit', 'SIGTERM', 'SIGINT'].map((event) => process.listenerCount(event)).join();
       say(count()); for (const undo of undos) undo(); say(count());`,
    );
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.lines).toEqual(['1,1,1', '1,0,0', ...Array.from({ length: 12 }, () => 'flushed')]);
  });

  test('something else under the name of the shared state: a copy acts alone', async () => {
    const ended = await child(
      `process[Symbol.for('batch-please.flushOnExit')] = globalThis[Symbol.for('batch-please.beforeExit')] = { version: 'x' };
       const a = batcherOf('a'); a.addItem(1); flushOnExit(a); stayAlive(); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ signal: 'SIGTERM', lines: ['ready', 'a began', 'a [1]'] });
  });
});

describe('elsewhere', () => {
  const noNamespaces =
    spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0
      ? undefined
      : 'no process namespaces here, which take Linux and root';

  testUnless(noNamespaces)(
    'as process 1 of a container the process ends, although no default action does it',
    async () => {
      const ended = await child(
        `const a = batcherOf('a'); a.addItem(1); flushOnExit(a); say('pid ' + process.pid); stayAlive();
       setTimeout(() => { say('still alive'); process.exit(99); }, 20_000);
       setTimeout(() => process.kill(1, 'SIGTERM'), 100);`,
        () => {},
        ['unshare', '--pid', '--fork', '--mount-proc'],
      );
      expect(ended).toMatchObject({ code: 143, lines: ['pid 1', 'a began', 'a [1]'] });
    },
  );

  test('in a worker thread, which sees no signals: harmless, and its natural end flushes', async () => {
    const worker = `
      const { MemoryBatcher, flushOnExit } = require(${commonJsOf('collectors/index.ts')});
      const b = new MemoryBatcher({ async batchFlush({ items }) { await new Promise((r) => setTimeout(r, 50)); console.log('worker ' + items); } });
      flushOnExit(b); b.addItems([1, 2]);`;
    const ended = await child(
      `import { Worker } from 'node:worker_threads';
       const w = new Worker(${JSON.stringify(worker)}, { eval: true, execArgv: [] });
       w.on('exit', (code) => say('worker exit ' + code)); w.on('error', (error) => say('error ' + error));`,
    );
    expect(ended).toMatchObject({ code: 0, lines: ['worker 1,2', 'worker exit 0'] });
  });
});
