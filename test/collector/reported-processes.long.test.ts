import { child } from '../support/child.js';

// Faults from public bug reports that only a process of its own shows: how it ends, what its timers do, and what happens
// to it from outside. Each child waits for conditions, and says what it saw.

jest.setTimeout(60_000);

describe('with unref an awaited verb did not hold the process', () => {
  test.each(['close', 'flush'])('%s() through a retry: delivered, settled, exit code 0', async (verb) => {
    const ended = await child(
      `const a = new MemoryBatcher({ unref: true, retry: { minDelay: 50 },
         batchFlush(_, { attempt }) { if (attempt === 1) throw new Error('503'); say('delivered'); } });
       a.on('failed', () => {}); a.addItems([1, 2, 3]); await a.${verb}(); say('settled');`,
    );
    expect(ended).toMatchObject({ code: 0, lines: ['delivered', 'settled'] });
  });

  test('close() that gives up after its timeout, behind a sink that hangs', async () => {
    const ended = await child(
      `const a = new MemoryBatcher({ unref: true, batchFlush: () => new Promise(() => {}) });
       a.on('closed', () => {}); a.addItem(1); await a.close({ timeout: 50 }).catch((error) => say(error.name));`,
    );
    expect(ended).toMatchObject({ code: 0, lines: ['CloseError'] });
  });

  test('a retry without a waiting caller still does not hold it', async () => {
    // One that waited for the retry would be killed before it ends.
    const ended = await child(
      `const a = new MemoryBatcher({ unref: true, maxBatchSize: 1, retry: { minDelay: 600_000, maxDelay: 600_000, jitter: false }, batchFlush() { throw new Error('503'); } });
       a.on('failed', () => {}); a.addItem(1); await a.flush({ timeout: 1 }).catch((error) => say(error.name));`,
    );
    expect(ended).toMatchObject({ code: 0, lines: ['TimeoutError'] });
  });
});

describe('a sink that hangs lost items in silence when the process ended by itself', () => {
  test('one item, a sink that never settles: a warning says that it is pending', async () => {
    const ended = await child(`new MemoryBatcher({ batchFlush: () => new Promise(() => {}) }).addItem(1);`);
    expect(ended.code).toBe(0);
    expect(ended.stderr).toMatch(/BatchWarning: MemoryBatcher: the process ends while 1 items are pending/);
  });

  test.each([
    ['a batch is held', `retry: false, batchFlush() { throw new Error('down'); }`],
    ['an add hook hangs', `batchAddItem: () => new Promise(() => {}), batchFlush() {}`],
    ['it is paused', `batchFlush() {}`],
  ])('%s', async (what, options) => {
    const ended = await child(
      `const a = new MemoryBatcher({ ${options} }); a.on('held', () => {}); a.addItems([1, 2]);
       ${what === 'it is paused' ? 'a.pause();' : ''}`,
    );
    expect(ended.code).toBe(0);
    expect(ended.stderr).toMatch(/the process ends while 2 items are pending/);
  });

  test('nothing is said of what was delivered at the end, or of unref', async () => {
    const ended = await child(
      `const a = batcherOf('a'); a.addItem(1);
       const b = new MemoryBatcher({ unref: true, batchFlush: () => new Promise(() => {}) }); b.addItem(1);`,
    );
    expect(ended).toMatchObject({ code: 0, lines: ['a began', 'a [1]'], stderr: '' });
  });
});

test('a batchPostFlush that fails without end: the process of an empty batcher ends', async () => {
  const ended = await child(
    `const a = new MemoryBatcher({ maxBatchSize: 1, retry: { attempts: 3, minDelay: 1 }, batchFlush() {}, batchPostFlush() { say('post'); throw new Error('ack down'); } });
     a.on('failed', () => {}); a.addItem(1);`,
  );
  expect(ended).toMatchObject({ code: 0, lines: ['post', 'post', 'post'] });
});

describe('a timer that the platform took away was never set again', () => {
  test('a module-level batcher first used under fake timers: age, retry and interval live on after them', async () => {
    const ended = await child(
      `import { mock } from 'node:test';
       let down = true;
       const log = new MemoryBatcher({ maxTimeSinceFirstItem: 50, retry: { minDelay: 10 }, batchFlush({ items }) {
         if (down) { down = false; throw new Error('once'); } say(JSON.stringify(items)); } });
       log.on('failed', () => {});
       mock.timers.enable({ apis: ['setTimeout'] }); log.addItem(1); mock.timers.reset();
       const stop = Date.now() + 15_000;
       for (let i = 2; log.state.counts.delivered === 0 && Date.now() < stop; i++) { await sleep(20); log.addItem('later'); }
       say(log.state.counts.delivered > 0); log.clear();`,
    );
    expect(ended.lines.at(-1)).toBe('true');
    expect(ended.lines[0]).toMatch(/^\[1,"later"/);
  });

  test('timers that are cleared at the end of every request', async () => {
    const ended = await child(
      `const real = globalThis.setTimeout; const made = new Set();
       globalThis.setTimeout = (...args) => { const timer = real(...args); made.add(timer); return timer; };
       const a = new MemoryBatcher({ maxTimeSinceFirstItem: 30, batchFlush({ items }) { say(items.length > 0); } });
       const stop = Date.now() + 15_000;
       while (a.state.counts.flushes < 3 && Date.now() < stop) {
         a.addItem(1); await new Promise((resolve) => real(resolve, 10));
         for (const timer of made) clearTimeout(timer); made.clear();
       }
       say(a.state.counts.flushes); a.clear();`,
    );
    expect(ended.lines).toEqual(['true', 'true', 'true', '3']);
  });
});

describe('fake timers that leave performance alone bent the grid of flushInterval', () => {
  test.each([{ apis: ['setTimeout'] }, { apis: ['setTimeout', 'setInterval', 'setImmediate', 'Date'] }])(
    'node:test, with $apis faked: 10, 20, 30, … minutes',
    async ({ apis }) => {
      const ended = await child(
        `import { mock } from 'node:test';
         const MINUTE = 60_000; // the grid begins a moment of real time before the first tick, which is nothing beside it
         mock.timers.enable({ apis: ${JSON.stringify(apis)} });
         let minute = 0; const minutes = [];
         const a = new MemoryBatcher({ flushInterval: 10 * MINUTE, batchFlush() { minutes.push(minute); } });
         while (minute < 60) { a.addItem(1); minute++; mock.timers.tick(MINUTE); }
         mock.timers.reset(); say(minutes.join()); a.clear();`,
      );
      expect(ended.lines).toEqual(['10,20,30,40,50,60']);
    },
  );
});

describe('a process that stood still took answers for timeouts', () => {
  test('a server answers while the process is stopped for longer than the timeout: no timeout, one request', async () => {
    const ended = await child(
      `import { request } from 'node:http'; import { spawn } from 'node:child_process';
       // In a process of its own, so that it answers meanwhile. It stops this one when its request has come, and continues
       // it when it has answered for longer than the timeout.
       const server = spawn(process.execPath, ['-e', \`
         let requests = 0;
         const server = require('http').createServer((_, response) => {
           const isSecond = ++requests === 2;
           if (isSecond) process.kill(process.ppid, 'SIGSTOP');
           response.end(String(requests), () => isSecond && setTimeout(() => process.kill(process.ppid, 'SIGCONT'), 4500));
         });
         server.listen(0, '127.0.0.1', () => console.log(server.address().port));\`], { stdio: ['ignore', 'pipe', 'inherit'] });
       const port = await new Promise((resolve) => server.stdout.once('data', (data) => resolve(Number(data))));
       const post = () => new Promise((resolve, reject) => request({ host: '127.0.0.1', port, method: 'POST', agent: false }, (response) => {
         response.on('data', (data) => resolve(String(data))); }).on('error', reject).end('x'));
       await post(); // warms up
       const a = new MemoryBatcher({ maxBatchSize: 1, flushTimeout: 4000, batchFlush: () => post() });
       a.on('failed', ({ error }) => say(error.message)); a.on('flushed', ({ result, attempt }) => say('answer ' + result + ' attempt ' + attempt));
       a.addItem(1); await a.flush(); server.kill();`,
    );
    expect(ended.lines).toEqual(['answer 2 attempt 1']);
  });
});
