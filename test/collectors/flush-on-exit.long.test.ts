import { OptionsError } from 'batch-please';
import { MemoryBatcher, flushOnExit } from 'batch-please/collectors';
import { moduleOf } from '../support/built.js';
import { child, on } from '../support/child.js';

// Real processes, signals and time: what a signal does to a process cannot be seen from inside it, and jest's `process`
// is a copy. Each child says when it is ready, so nothing here depends on how fast it starts.

jest.setTimeout(60_000);

/** Milliseconds: a process that waited so long would be killed before it ends. */
const NEVER = 600_000;

describe('flushOnExit', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    'A8: %s: delivers, then the process ends by that signal',
    async (signal) => {
      const ended = await child(
        `const a = batcherOf('a'); a.addItems([1, 2]); flushOnExit([a]); stayAlive(); say('ready');`,
        on('ready', signal),
      );
      expect(ended).toMatchObject({ code: null, signal, lines: ['ready', 'a began', 'a [1,2]'] });
    },
  );

  test('closes them all, at the same time; takes one alone, too', async () => {
    const ended = await child(
      `const [a, b] = [batcherOf('a'), batcherOf('b')]; a.addItem(1); b.addItem(2);
       flushOnExit(new Set([a, b])); stayAlive(); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended.signal).toBe('SIGTERM');
    expect(ended.lines).toEqual(['ready', 'a began', 'b began', 'a [1]', 'b [2]']);
    const alone = await child(
      `const a = batcherOf('a'); a.addItem(1); flushOnExit(a); stayAlive(); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(alone).toMatchObject({ signal: 'SIGTERM', lines: ['ready', 'a began', 'a [1]'] });
  });

  test('called twice, for two batchers: both are closed, and the process ends by the signal', async () => {
    const ended = await child(
      `const [a, b] = [batcherOf('a'), batcherOf('b')]; a.addItem(1); b.addItem(2);
       flushOnExit(a); flushOnExit(b); stayAlive(); setTimeout(() => { say('still alive'); process.exit(1); }, 20_000); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended.lines).toEqual(expect.arrayContaining(['a [1]', 'b [2]']));
    expect(ended).toMatchObject({ code: null, signal: 'SIGTERM' });
  });

  test('the signal again after more than a second ends the process at once', async () => {
    const ended = await child(
      `const a = batcherOf('a', { takes: 15_000 }); a.addItem(1); flushOnExit([a]); stayAlive();
       process.on('SIGHUP', () => setTimeout(say, 1500, 'a second later')); say('ready');`,
      (line, process) => {
        if (line === 'ready' || line === 'a second later') process.kill('SIGINT');
        if (line === 'a began') process.kill('SIGHUP');
      },
    );
    expect(ended).toMatchObject({ code: null, signal: 'SIGINT' });
    expect(ended.lines).toEqual(['ready', 'a began', 'a second later']);
  });

  test('A8: a sink that hangs: ends after the timeout, and warns of what is lost', async () => {
    const ended = await child(
      `const a = batcherOf('a', { takes: 18_000 }); a.addItems([1, 2, 3]); flushOnExit([a], { timeout: 200 }); stayAlive(); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ signal: 'SIGTERM', lines: ['ready', 'a began'] });
    expect(ended.stderr).toMatch(/undelivered|closed with 3/);
  });

  test('with a listener of the program for that signal, ending is left to it', async () => {
    const ended = await child(
      `const a = batcherOf('a'); a.addItem(1);
       process.on('SIGTERM', async () => { say('own'); await sleep(1000); say('own ends'); process.exit(7); });
       flushOnExit([a]); stayAlive(); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ code: 7, signal: null });
    expect(ended.lines).toEqual(['ready', 'a began', 'own', 'a [1]', 'own ends']);
  });

  test('also when that listener is a once, which was removed by then', async () => {
    const ended = await child(
      `const a = batcherOf('a'); a.addItem(1);
       process.once('SIGTERM', async () => { await sleep(1000); say('own ends'); process.exit(7); });
       flushOnExit([a]); stayAlive(); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended.lines).toContain('own ends');
    expect(ended.code).toBe(7);
  });

  test('a listener for another signal does not count', async () => {
    const ended = await child(
      `const a = batcherOf('a'); a.addItem(1); process.on('SIGINT', () => {}); flushOnExit([a]); stayAlive(); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ signal: 'SIGTERM', lines: ['ready', 'a began', 'a [1]'] });
  });

  test('only the signals asked for', async () => {
    const program = `const a = batcherOf('a'); a.addItem(1); flushOnExit([a], { signals: ['SIGHUP'] }); stayAlive(); say('ready');`;
    expect(await child(program, on('ready', 'SIGHUP'))).toMatchObject({
      signal: 'SIGHUP',
      lines: ['ready', 'a began', 'a [1]'],
    });
    expect(await child(program, on('ready', 'SIGTERM'))).toMatchObject({ signal: 'SIGTERM', lines: ['ready'] });
  });

  test('what it returns undoes it: the process ends at once, as without it', async () => {
    const ended = await child(
      `const a = batcherOf('a'); a.addItem(1); const undo = flushOnExit([a]); undo(); undo(); stayAlive(); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ signal: 'SIGTERM', lines: ['ready'] });
  });

  test('takes anything that closes, and batchers that are closed already', async () => {
    const ended = await child(
      `const a = batcherOf('a'); await a.close();
       flushOnExit([a, { async close(options) { say('closed ' + JSON.stringify(options)); } }, { close() { throw new Error('cannot'); } }], { timeout: 5 });
       stayAlive(); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ signal: 'SIGTERM', lines: ['ready', 'closed {"timeout":5}'] });
    expect(ended.stderr).toContain('cannot');
  });

  test('A8: takes a serving: what waits for its batch is executed, and its callers get their results', async () => {
    const ended = await child(
      `import { BatchServing } from ${moduleOf('src/index.ts')};
       const own = new BatchServing({ batchSize: 10, batchTimeout: 60_000, handleBatch: async (values) => { await sleep(50); return values.map((value) => value * 2); } });
       own.dispatchMany([1, 2]).then((results) => say(JSON.stringify(results)));
       flushOnExit(own); stayAlive(); say('ready');`,
      on('ready', 'SIGTERM'),
    );
    expect(ended).toMatchObject({ code: null, signal: 'SIGTERM', lines: ['ready', '[2,4]'], stderr: '' });
  });

  test('does not keep a process alive that has nothing to do', async () => {
    expect(await child(`flushOnExit([batcherOf('a')]);`)).toMatchObject({ code: 0, signal: null });
  });

  test.each([{ timeout: -1 }, { timeout: 'soon' }])('%j: wrong options throw OptionsError', (options) => {
    expect(() => flushOnExit([], options as never)).toThrow(OptionsError);
  });

  test.each([{ tiemout: 5 }, { signals: 'SIGTERM' }, { signals: ['SIGNOT'] }])(
    '%j: so do unknown options and signals, which leave no listener behind',
    (options) => {
      const before = process.listenerCount('SIGTERM');
      expect(() => flushOnExit([], options as never)).toThrow(OptionsError);
      expect(process.listenerCount('SIGTERM')).toBe(before);
    },
  );

  test.each([undefined, null, 5, [undefined], [{}]])(
    '%j is no batcher: said at the call, not at the signal',
    (batchers) => {
      expect(() => flushOnExit(batchers as never)).toThrow(OptionsError);
    },
  );

  test('adds one listener per signal, and removes it', () => {
    const count = (): number[] => ['SIGTERM', 'SIGINT'].map((signal) => process.listenerCount(signal));
    const before = count();
    const undo = flushOnExit([new MemoryBatcher<number>({ batchFlush: () => {} })]);
    expect(count()).toEqual(before.map((n) => n + 1));
    undo();
    expect(count()).toEqual(before);
  });
});

describe('a process that ends by itself', () => {
  test('A8: flushes what is pending first, without a trigger', async () => {
    const ended = await child(`const a = batcherOf('a'); a.addItems([1, 2]); const b = batcherOf('b'); b.addItem(3);`);
    expect(ended).toMatchObject({ code: 0, signal: null });
    expect([...ended.lines].sort()).toEqual(['a [1,2]', 'a began', 'b [3]', 'b began']);
  });

  test('is kept alive by a timer that will deliver them: 1 (age)', async () => {
    const ended = await child(
      `const a = new MemoryBatcher({ maxTimeSinceFirstItem: 300, batchFlush: ({ items }, { reason }) => say(items.length + ' ' + reason) }); a.addItem(1);`,
    );
    expect(ended).toMatchObject({ code: 0, lines: ['1 age'] });
  });

  test('is kept alive by a retry: 1 => fails => fails => 1', async () => {
    const ended = await child(
      `let n = 0; const a = new MemoryBatcher({ maxBatchSize: 1, batchFlush() { say('try ' + ++n); if (n < 3) throw new Error('no'); } });
       a.on('failed', () => {}); a.addItem(1);`,
    );
    expect(ended).toMatchObject({ code: 0, lines: ['try 1', 'try 2', 'try 3'] });
  });

  test('ends although a batch cannot be delivered: tried once more, then warned of', async () => {
    const ended = await child(
      `const a = new MemoryBatcher({ maxBatchSize: 1, retry: false, batchFlush() { say('try'); throw new Error('no'); } }); a.addItem(1);`,
    );
    expect(ended).toMatchObject({ code: 0, lines: ['try', 'try'] });
    expect(ended.stderr).toMatch(/held.*no/);
  });

  test('delivers what the flush at its end adds, too', async () => {
    const ended = await child(
      `let n = 0; const a = new MemoryBatcher({ async batchFlush({ items }) { say(JSON.stringify(items)); if (n++ < 3) a.addItem(n); } }); a.addItem(0);`,
    );
    expect(ended).toMatchObject({ code: 0, lines: ['[0]', '[1]', '[2]', '[3]'] });
  });

  test('unref: true switches both off: it ends at once, and nothing is flushed', async () => {
    const ended = await child(
      `const a = batcherOf('a', { batcher: { unref: true, maxTimeSinceFirstItem: ${NEVER} } }); a.addItem(1);
       const b = batcherOf('b', { batcher: { unref: true } }); b.addItem(1);`,
    );
    expect(ended).toMatchObject({ code: 0, lines: [] });
  });

  test('A6: an empty batcher, used or not, lets it end', async () => {
    const ended = await child(
      `const never = ${NEVER};
       const a = batcherOf('a', { batcher: { flushInterval: never, maxTimeSinceFirstItem: never, maxTimeSinceLastFlush: never, flushTimeout: never } });
       const b = batcherOf('b', { takes: 1, batcher: { flushInterval: never, maxBatchSize: 1, flushTimeout: never } }); await b.deliverItem(1);`,
    );
    expect(ended).toMatchObject({ code: 0, lines: ['b began', 'b [1]'] });
  });

  test('A4: a failure without a listener is a warning on standard error, and the process goes on', async () => {
    const ended = await child(
      `const a = new MemoryBatcher({ maxBatchSize: 1, retry: { attempts: 3, minDelay: 1 }, giveUp: 'drop', batchFlush() { throw new Error('sink is down'); } });
       for (let i = 0; i < 10; i++) a.addItem(i);
       await a.flush().catch((error) => say(error.name));`,
    );
    expect(ended).toMatchObject({ code: 0, lines: ['FlushError'] });
    expect(ended.stderr.match(/BatchWarning: .*sink is down/g)).toHaveLength(2); // failed, and dropped
  });
});
