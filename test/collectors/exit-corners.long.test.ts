import { join } from 'node:path';
import { child, on } from '../support/child.js';
import { root } from '../support/project.js';

// Real processes, signals and time: see flush-on-exit.long.test.ts.

jest.setTimeout(60_000);

/** Ends a process that would otherwise go on, and says so. */
const guarded = `stayAlive(); setTimeout(() => { say('still alive'); process.exit(99); }, 20_000); say('ready');`;

describe('a program that ends the process itself, and whose listener was removed before ours is called', () => {
  const ownEnd = `say('own'); await sleep(600); say('own ends'); process.exit(7);`;

  test.each([
    ['prependOnceListener', `process.prependOnceListener('SIGTERM', async () => { ${ownEnd} });`],
    [
      'a listener in front that removes itself',
      `const own = async () => { process.off('SIGTERM', own); ${ownEnd} }; process.prependListener('SIGTERM', own);`,
    ],
    [
      'a listener in front that removes another',
      `const own = async () => { ${ownEnd} }; process.prependListener('SIGTERM', own);
       process.prependListener('SIGTERM', function first() { process.off('SIGTERM', own); process.off('SIGTERM', first); });`,
    ],
  ])('ended by us in the middle of its own end: %s', async (_, listener) => {
    const ended = await child(
      `const a = batcherOf('a'); a.addItem(1); flushOnExit(a); ${listener} ${guarded}`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ code: 7, lines: ['ready', 'own', 'a began', 'a [1]', 'own ends'] });
  });

  test('a listener that was removed in an earlier turn counts no more', async () => {
    const ended = await child(
      `const a = batcherOf('a'); a.addItem(1); flushOnExit(a);
       const own = () => {}; process.on('SIGTERM', own); process.off('SIGTERM', own); await null; ${guarded}`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ signal: 'SIGTERM', lines: ['ready', 'a began', 'a [1]'] });
  });
});

test('removeAllListeners took our listener for good: a batcher that was registered later was not closed either', async () => {
  const ended = await child(
    `const [a, b] = [batcherOf('a'), batcherOf('b', { takes: 200 })]; a.addItem(1); b.addItem(2);
     flushOnExit(a); process.removeAllListeners('SIGTERM'); flushOnExit(b); ${guarded}`,
    on('ready', 'SIGTERM'),
  );
  expect(ended).toMatchObject({ signal: 'SIGTERM', lines: ['ready', 'a began', 'b began', 'a [1]', 'b [2]'] });
});

test('a signal that this platform lacks was refused: SIGBREAK beside SIGTERM', async () => {
  const ended = await child(
    `const a = batcherOf('a'); a.addItem(1); flushOnExit(a, { signals: ['SIGTERM', 'SIGBREAK'] }); ${guarded}`,
    on('ready', 'SIGTERM'),
  );
  expect(ended).toMatchObject({ signal: 'SIGTERM', lines: ['ready', 'a began', 'a [1]'] });
});

describe('a signal that the program emits by hand', () => {
  // As programs do that read Ctrl-C themselves: readline.on('SIGINT', () => process.emit('SIGINT')).
  test.each([`process.emit('SIGINT')`, `process.emit('SIGINT', 'SIGINT', 2)`])(
    'closed nothing and never ended, having no argument: %s',
    async (emit) => {
      const ended = await child(`const a = batcherOf('a'); a.addItem(1); flushOnExit(a); ${guarded} ${emit};`);
      expect(ended).toMatchObject({ signal: 'SIGINT', lines: ['ready', 'a began', 'a [1]'] });
    },
  );
});

describe('one key press while the process cannot look', () => {
  const blocks = `const wait = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);`;

  test('a sink that blocks for longer than a second: the repetition cut off what was begun', async () => {
    const ended = await child(
      `${blocks} const a = new MemoryBatcher({ async batchFlush() {
         // The repetition comes in the middle of the wait, however late another process would be with it.
         await sleep(10); say('began'); wait(700); process.kill(process.pid, 'SIGTERM'); wait(800);
         await sleep(200); say('delivered'); } });
       a.addItem(1); flushOnExit(a); ${guarded}`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ signal: 'SIGTERM', lines: ['ready', 'began', 'delivered'] });
  });

  test('a process that is frozen for longer than a second', async () => {
    const ended = await child(
      `const a = batcherOf('a', { takes: 300 }); a.addItem(1); flushOnExit(a); ${guarded}`,
      (line, process) => {
        if (line === 'ready') process.kill('SIGTERM');
        if (line !== 'a began') return;
        process.kill('SIGSTOP');
        process.kill('SIGTERM');
        setTimeout(() => process.kill('SIGCONT'), 1500);
      },
    );
    expect(ended).toMatchObject({ signal: 'SIGTERM', lines: ['ready', 'a began', 'a [1]'] });
  });

  test('undone while closing: the repetition cut off what was begun', async () => {
    const ended = await child(
      `let undo; const a = new MemoryBatcher({ async batchFlush() { undo(); say('undone'); await sleep(300); say('delivered'); } });
       a.addItem(1); undo = flushOnExit(a); ${guarded}`,
      (line, process) => {
        if (line === 'ready' || line === 'undone') process.kill('SIGTERM');
      },
    );
    expect(ended).toMatchObject({ signal: 'SIGTERM', lines: ['ready', 'undone', 'delivered'] });
  });

  test('SIGTERM, then SIGINT, on which others are closed: they lost their items', async () => {
    const ended = await child(
      // The second signal comes from within, where no other process can be late with it.
      `const a = new MemoryBatcher({ async batchFlush() {
         say('a began'); process.kill(process.pid, 'SIGINT'); await sleep(1000); say('a [1]'); } });
       const b = batcherOf('b'); a.addItem(1); b.addItem(2);
       flushOnExit(a, { signals: ['SIGTERM'] }); flushOnExit(b, { signals: ['SIGINT'] }); ${guarded}`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ signal: 'SIGTERM', lines: ['ready', 'a began', 'a [1]', 'b began', 'b [2]'] });
  });
});

describe('registered while closing', () => {
  test('a batcher that is made by what runs at the end lost its items', async () => {
    const ended = await child(
      `let log; const logger = () => { if (!log) { log = batcherOf('log'); flushOnExit(log); } return log; };
       const a = new MemoryBatcher({ batchFlush() { logger().addItem('stored'); } }); a.addItem(1); flushOnExit(a); ${guarded}`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ signal: 'SIGTERM', lines: ['ready', 'log began', 'log ["stored"]'] });
  });

  test('each one that is closed registers another: for no longer than the timeout of the first', async () => {
    const ended = await child(
      `let n = 0; const next = () => ({ async close() { flushOnExit(next(), { timeout: 60_000 }); if (++n > 2) await sleep(20); } });
       flushOnExit(next(), { timeout: 1000 }); process.on('exit', () => say(n > 2)); process.on('SIGTERM', () => {}); ${guarded}`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ code: 143, lines: ['ready', 'true'] });
  });
});

describe('elsewhere', () => {
  test('copies in two realms of one process each left the ending to the other', async () => {
    const ended = await child(
      `import { createRequire } from 'node:module'; import vm from 'node:vm'; import { buildSync } from 'esbuild';
       const entryPoints = [${JSON.stringify(join(root, 'collectors', 'flush-on-exit.ts'))}];
       const [{ text }] = buildSync({ entryPoints, bundle: true, platform: 'node', format: 'cjs', write: false }).outputFiles;
       const module = { exports: {} };
       const realm = vm.createContext({ process, setTimeout, clearTimeout, setImmediate, queueMicrotask, performance, Buffer, AbortController, AbortSignal });
       vm.runInContext('(function (module, require) {' + text + '})', realm)(module, createRequire(import.meta.url));
       const a = batcherOf('a'); a.addItem(1); flushOnExit(a);
       module.exports.flushOnExit({ async close() { say('other realm'); } }); ${guarded}`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ signal: 'SIGTERM', stderr: '' });
    expect([...ended.lines].sort()).toEqual(['a [1]', 'a began', 'other realm', 'ready']);
  });

  test('A8: a worker of a cluster exited in the middle of its flush, because Ctrl-C had ended the primary', async () => {
    const ended = await child(
      `import cluster from 'node:cluster';
       if (cluster.isPrimary) { cluster.setupPrimary({ exec: 'the same program, which --eval gives' }); cluster.fork(); stayAlive(); }
       else { const gone = new Promise((resolve) => process.once('disconnect', resolve));
         const a = new MemoryBatcher({ async batchFlush() { say('a began'); await gone; say('primary gone'); await sleep(300); say('a ends'); } });
         a.addItem(1); flushOnExit(a); ${guarded} say(process.pid); }`,
      (line, primary) => {
        // A terminal signals both at once. Here the worker comes first: one that reads the end of its primary before its
        // own signal is ended by Node, and which it reads first is up to the machine.
        if (/^\d+$/.test(line)) process.kill(Number(line), 'SIGINT');
        if (line === 'a began') primary.kill('SIGINT');
      },
    );
    const pid = expect.stringMatching(/^\d+$/) as string;
    expect(ended).toMatchObject({ signal: 'SIGINT', lines: ['ready', pid, 'a began', 'primary gone', 'a ends'] });
  });

  test('a worker of a cluster whose program ignores the signal ends with its primary, as ever', async () => {
    const ended = await child(
      `import cluster from 'node:cluster';
       if (cluster.isPrimary) { cluster.setupPrimary({ exec: 'the same program, which --eval gives' });
         cluster.fork().on('message', () => process.kill(process.pid, 'SIGKILL')); stayAlive(); }
       else { const a = batcherOf('a'); a.addItem(1); flushOnExit(a); process.on('SIGINT', () => {});
         process.on('exit', (code) => say('exit ' + code));
         a.on('closed', () => setTimeout(() => process.send('closed'), 100)); ${guarded} process.kill(process.pid, 'SIGINT'); }`,
    );
    expect(ended).toMatchObject({ signal: 'SIGKILL', lines: ['ready', 'a began', 'a [1]', 'exit 0'] });
  });
});

describe('a process that ends by itself', () => {
  test.each([
    ['the first items of all', `const a = batcherOf('a'); process.on('beforeExit', listener);`],
    [
      'in a listener that came before the batcher',
      `process.on('beforeExit', listener); const a = batcherOf('a'); a.addItem(0); await a.flush();`,
    ],
    [
      'in one that came after it',
      `const a = batcherOf('a'); a.addItem(0); await a.flush(); process.on('beforeExit', listener);`,
    ],
    [
      'of a batcher that is made there, when there is another',
      `let a; batcherOf('b'); process.on('beforeExit', () => { a ??= batcherOf('a'); listener(); });`,
    ],
  ])('A1: what listeners of beforeExit added was lost: %s', async (_, program) => {
    const ended = await child(
      `const listener = () => { if (!listener.called) a.addItems([1, 2]); listener.called = true; }; ${program}`,
    );
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.lines.slice(-2)).toEqual(['a began', 'a [1,2]']);
  });

  test('a warning said that items are pending which a listener of beforeExit had added, and which are delivered', async () => {
    const ended = await child(
      `const a = batcherOf('a'); a.addItem(0);
      process.on('beforeExit', () => { if (a.state.counts.totalItems < 3) a.addItem(1); });`,
    );
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.lines.slice(-2)).toEqual(['a began', 'a [1]']);
  });
});
