import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { BatchServing, ClosedError, ResultCountError, TimeoutError, type DispatchOptions } from 'batch-please';
import { moduleOf } from '../support/built.js';
import { root } from '../support/project.js';

jest.setTimeout(240_000);

const run = promisify(execFile);
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'batch-threads-')));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const module_ = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;

/** One partition on a thread that runs this code. */
function serving<Out = unknown>(code: string, options: object = {}): BatchServing<unknown, Out, undefined, 'progress'> {
  return new BatchServing<unknown, Out, undefined, 'progress'>({
    partitions: { count: 1, worker: module_(code) },
    batchSize: 3,
    batchTimeout: 5,
    hooks: ['progress'],
    ...options,
  });
}

const errorOf = async (
  own: BatchServing<unknown, unknown, undefined, 'progress'>,
  value: unknown = 1,
): Promise<unknown> => {
  const outcome = await own.tryDispatch(value);
  return outcome.ok ? outcome.value : outcome.error;
};

/** The lines that a program prints; it has to end by itself. */
async function linesOf(code: string, args: readonly string[] = []): Promise<string[]> {
  const file = join(folder, `main-${String(Math.random()).slice(2)}.mjs`);
  writeFileSync(file, code);
  const { stdout } = await run(process.execPath, [...args, file], { cwd: root, timeout: 200_000 });
  return stdout.trim().split('\n');
}

const library = moduleOf('src/index.ts');

describe('an error between batches killed the process', () => {
  test.each([
    ['a rejection', 'setTimeout(() => { Promise.reject(new Error("stray")); }, 20);'],
    ['a throw', 'setTimeout(() => { throw new Error("stray"); }, 20);'],
    ['an exit', 'setTimeout(() => process.exit(3), 20);'],
  ])('%s: the thread is replaced', async (_name, stray) => {
    const lines = await linesOf(`import { BatchServing } from ${library};
      const worker = ${JSON.stringify(module_(`let n = 0; export const handleBatch = (v) => { ${stray} return v.map(() => ++n); };`))};
      const own = new BatchServing({ partitions: { count: 1, worker } });
      process.on('warning', ({ code }) => console.log(code));
      const gone = new Promise((resolve) => process.once('worker', (worker) => worker.once('exit', resolve)));
      console.log(await own.dispatch(1));
      const alive = setInterval(() => {}, 1000); // an idle thread does not hold the process
      await gone;
      clearInterval(alive);
      console.log(await own.dispatch(1));
      await own.close();`);
    expect(lines.filter((line) => line !== 'BATCH_WORKER')).toEqual(['1', '1']);
    expect(lines.includes('BATCH_WORKER')).toBe(_name !== 'an exit');
  });
});

test.each(['null', '{ id: 0, results: ["forged"], errors: [] }'])(
  'a message %s that the module itself posts killed the process, or was taken for an answer',
  async (message) => {
    const code = `import { parentPort } from 'node:worker_threads';
      export const handleBatch = (values) => { parentPort.postMessage(${message}); return values; };`;
    const lines = await linesOf(`import { BatchServing } from ${library};
      const own = new BatchServing({ partitions: { count: 1, worker: ${JSON.stringify(module_(code))} } });
      console.log(await own.dispatchMany([1, 2, 3]));
      await own.close();`);
    expect(lines).toEqual(['[ 1, 2, 3 ]']);
  },
);

test('an abort whose reason throws when it is looked at killed the process', async () => {
  const code = `export const handleBatch = ([begun], { signal }) => {
    Atomics.store(begun, 0, 1);
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve([String(signal.reason)])));
  };`;
  const lines = await linesOf(`import { BatchServing } from ${library};
    class Odd extends Error { get name() { throw new Error('name'); } get code() { throw new Error('code'); } }
    const own = new BatchServing({ partitions: { count: 1, worker: ${JSON.stringify(module_(code))} } });
    own.on('executed', () => console.log('executed'));
    const controller = new AbortController();
    const reason = new Odd('left');
    const begun = new Int32Array(new SharedArrayBuffer(4));
    const call = own.dispatch(begun, { signal: controller.signal }).catch((error) => error === reason);
    while (Atomics.load(begun, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    controller.abort(reason);
    console.log(await call);
    await own.close();`);
  expect(lines).toEqual(['true', 'executed']);
});

test('a thread that failed once at its start left its partition dead for ever', async () => {
  const missing = {
    count: 1,
    worker: module_('export const handleBatch = (v) => v'),
    execArgv: ['--require', './missing.cjs'],
  };
  await using own = serving('', { partitions: missing });
  for (let i = 0; i < 2; i++) expect(String(await errorOf(own))).toMatch(/worker of partition 0 .* died.*missing/s);
});

test('a module that throws at its first load is loaded again', async () => {
  await using own = serving('throw new Error("not yet")');
  expect(await errorOf(own)).toMatchObject({ message: 'not yet' });
  expect(await errorOf(own)).toMatchObject({ message: 'not yet' });
});

// The limit on the heap of the process holds for each of its threads; 60 MB are filled in about a second.
test('a thread out of memory fails its own batch with the reason, and is replaced', async () => {
  const code = `export const handleBatch = (values) => {
    const hoard = values.includes('hog') ? [] : undefined;
    while (hoard !== undefined) hoard.push(new Array(1e4).fill(hoard.length));
    return values;
  };`;
  const main = `import { BatchServing } from ${library};
    const own = new BatchServing({ partitions: { count: 2, worker: ${JSON.stringify(module_(code))} }, batchSize: 2, batchTimeout: 5 });
    const outcomes = await Promise.all(['hog', 2, 3, 4].map((value) => own.tryDispatch(value)));
    for (const { ok, value, error } of outcomes) console.log(ok ? value : [error.name, error.code, error.cause.code].join());
    console.log((await own.dispatchMany([5, 6, 7, 8])).join()); // on both partitions
    console.log(await own.inline('hog').catch((error) => error.cause.code), await own.inline(9));
    await own.close();
    console.log(own.state.counts.delivered, own.state.counts.failed, own.state.pending);`;
  const lines = await linesOf(main, ['--max-old-space-size=60']);
  const failed = 'BatchError,ERR_BATCH,ERR_WORKER_OUT_OF_MEMORY';
  expect(lines).toEqual([failed, failed, '3', '4', '5,6,7,8', 'ERR_WORKER_OUT_OF_MEMORY 9', '6 2 0']);
});

test('a death fails its own batch, and none of another partition', async () => {
  const worker = module_(`export const handleBatch = async (v) => {
    if (v[0] === 'die') process.exit(1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    return v;
  }`);
  await using own = serving('', { batchSize: 1, partitions: { count: 2, worker } });
  const calls = [own.tryDispatch('live'), own.tryDispatch('die'), own.tryDispatch('next')];
  expect((await Promise.all(calls)).map(({ ok }) => ok)).toEqual([true, false, true]);
});

describe('close ignored inline work on threads', () => {
  const slow = `export const handleBatch = async (v) => { await new Promise((resolve) => setTimeout(resolve, 200)); return v; }`;

  test('it finishes before close resolves', async () => {
    const own = serving(slow);
    const order: unknown[] = [];
    const work = own.inline(1).then((value) => order.push(value));
    await own.close().then(() => order.push('closed'));
    await work;
    expect(order).toEqual([1, 'closed']);
  });

  test('after the timeout of close it is rejected, and counts as undelivered', async () => {
    const own = serving('export const handleBatch = () => new Promise(() => {})');
    const work = own.inline(1);
    const closing = own.close({ timeout: 100 });
    await expect(work).rejects.toBeInstanceOf(ClosedError);
    await expect(closing).rejects.toMatchObject({ undelivered: 1 });
  });

  test('in the caller it is waited for too, and nothing starts after close', async () => {
    let started = 0;
    const own = new BatchServing<number, number>({
      handleBatch: async (values) => {
        started++;
        await new Promise((resolve) => setTimeout(resolve, 20));
        return values;
      },
    });
    let done = false;
    const work = own.inlineMany([1, 2]).finally(() => (done = true));
    await own.close();
    expect([done, await work, started]).toEqual([true, [1, 2], 2]);
    await expect(own.inline(3)).rejects.toBeInstanceOf(ClosedError);
    await expect(own.inlineStream([3]).next()).rejects.toBeInstanceOf(ClosedError);
    expect(started).toBe(2);
  });
});

test('inline work on threads runs side by side, as many as there are partitions', async () => {
  const worker = module_(`export const handleBatch = ([{ barrier, count }]) => {
    const seen = new Int32Array(barrier);
    Atomics.add(seen, 0, 1);
    Atomics.notify(seen, 0);
    while (Atomics.load(seen, 0) < count) Atomics.wait(seen, 0, Atomics.load(seen, 0), 10_000);
    return ['together'];
  }`);
  await using own = serving('', { batchSize: 1, partitions: { count: 2, worker } });
  const value = { barrier: new SharedArrayBuffer(4), count: 2 };
  expect(await Promise.all([own.inline(value), own.inline(value), own.inline(value)])).toHaveLength(3);
});

describe('the border of threads', () => {
  test('a handler that empties its list lost the number of its values', async () => {
    await using own = serving(`export const handleBatch = (v, { hooks }) => {
      const out = [];
      while (v.length) out.push(v.shift() * 2);
      hooks.progress.each(out);
      return out;
    }`);
    expect(await own.dispatchMany([1, 2])).toEqual([2, 4]);
  });

  test.each<[string, string, object]>([
    ['a cause that is itself', 'const e = new Error("quota"); e.cause = e; throw e;', { message: 'quota' }],
    [
      'a getter that throws',
      'throw Object.defineProperty(new RangeError("r"), "x", { enumerable: true, get() { throw 1; } });',
      { message: 'r' },
    ],
    [
      'an AggregateError',
      'throw new AggregateError([new TypeError("a"), 2], "agg");',
      {
        name: 'AggregateError',
        message: 'agg',
        errors: [expect.objectContaining({ name: 'TypeError', message: 'a' }), 2],
      },
    ],
    [
      'a cause with fields',
      'throw new Error("e", { cause: Object.assign(new TypeError("c"), { code: "C", at: { n: 1 } }) });',
      { cause: expect.objectContaining({ name: 'TypeError', code: 'C', at: { n: 1 } }) as unknown },
    ],
    [
      'an error in a field',
      'throw Object.assign(new Error("e"), { inner: new RangeError("i"), fn() {} });',
      { inner: expect.objectContaining({ name: 'RangeError', message: 'i' }) as unknown },
    ],
    [
      'a message that cannot be read',
      'const e = new Error("x"); Object.defineProperty(e, "message", { get() { throw 1; } }); e.code = "C"; throw e;',
      { code: 'C' },
    ],
    ['a proxy that throws', 'throw new Proxy(new Error("p"), { get() { throw 1; }, ownKeys() { throw 1; } });', {}],
    [
      'a long chain of causes',
      'let e = new Error("0"); for (let i = 1; i < 5000; i++) e = new Error(String(i), { cause: e }); throw e;',
      { message: '4999' },
    ],
  ])('%s', async (_name, code, expected) => {
    await using own = serving(`export const handleBatch = () => { ${code} }`);
    const error = await errorOf(own);
    expect(String(error)).not.toMatch(/died/);
    expect(error).toMatchObject(expected);
    expect(await errorOf(own)).toMatchObject(expected);
  });

  test('a cycle of causes stays one', async () => {
    await using own = serving(
      'export const handleBatch = () => { const e = new Error("a"); e.cause = e; return [e]; }',
    );
    const error = (await errorOf(own)) as Error;
    expect(error.cause).toBe(error);
  });

  test('one value that cannot be cloned failed all strangers in its batch', async () => {
    await using own = serving(
      'export const handleBatch = (v, { size, hooks }) => { hooks.progress.each(v); return v.map(() => size); }',
      { batchTimeout: 60_000 }, // the three fill a batch, however slow the machine is
    );
    const [one, two, three] = await Promise.all([own.tryDispatch(1), own.tryDispatch(() => 2), own.tryDispatch(3)]);
    expect([one, three]).toEqual([2, 2].map((value) => ({ ok: true, value })));
    expect(two).toMatchObject({ ok: false, error: { name: 'DataCloneError' } });
  });

  test('nor does a result that cannot be cloned', async () => {
    await using own = serving('export const handleBatch = (v) => v.map((x) => (x === 2 ? () => x : x))');
    const outcomes = await Promise.all([1, 2, 3].map((value) => own.tryDispatch(value)));
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, false, true]);
  });

  test('nor does a value whose getter throws, or that is nested too deep, fail strangers', async () => {
    await using own = serving('export const handleBatch = (v) => v');
    const boom = new Error('boom');
    const throws = (error: unknown): object =>
      Object.defineProperty({}, 'x', {
        enumerable: true,
        get: () => {
          throw error;
        },
      });
    let deep = {};
    for (let level = 0; level < 200_000; level++) deep = { deep };
    for (const value of [throws(boom), throws('text'), deep]) {
      const [bad, good] = await Promise.all([own.tryDispatch(value), own.tryDispatch(2)]);
      expect(good).toEqual({ ok: true, value: 2 });
      expect(bad).toMatchObject({ ok: false, error: { message: expect.any(String) as unknown } });
    }
  });

  test.each([
    ['an error', 'get x() { throw new Error("boom"); }'],
    ['a text, which became the result,', 'get x() { throw "boom"; }'],
    ['from then, which failed the batch,', 'get then() { throw new Error("boom"); }'],
  ])('a result whose getter throws %s fails in its own slot', async (_, getter) => {
    await using own = serving(`export const handleBatch = (v) => v.map((x) => (x === 1 ? { ${getter} } : x))`);
    const [bad, good] = await Promise.all([own.tryDispatch(1), own.tryDispatch(2)]);
    expect(good).toEqual({ ok: true, value: 2 });
    expect(bad).toMatchObject({ ok: false, error: { message: expect.stringContaining('boom') as unknown } });
  });

  test('without the value that cannot be cloned the number of results still counts', async () => {
    await using own = serving('export const handleBatch = () => [1, 2, 3]');
    const outcomes = await Promise.all([1, () => 2, 3].map((value) => own.tryDispatch(value)));
    expect(outcomes[0]).toMatchObject({ ok: false, error: expect.any(ResultCountError) as unknown });
  });

  test('promises in slots are awaited', async () => {
    await using own = serving(
      'export const handleBatch = (v) => v.map(async (x) => { if (x < 0) throw new Error("n"); return x; })',
    );
    expect(await own.settleMany([1, -1])).toMatchObject([{ value: 1 }, { reason: { message: 'n' } }]);
  });

  test('signal aborts in the thread when no caller is left, and deadline is by its clock', async () => {
    await using own = serving(`let aborted = 'not';
      export const handleBatch = async ([v], { signal, deadline }) => {
        if (v === 'seen') return [aborted];
        const rest = deadline - performance.now();
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        aborted = signal.reason.name + (rest > 0 && rest <= 3000 ? ' in time' : rest);
        return [0];
      }`);
    // The thread is there: what is left of the timeout is not spent on its start.
    expect(await own.dispatch('seen')).toBe('not');
    const options: DispatchOptions = { timeout: 3000 };
    expect(await own.tryDispatch('wait', options)).toMatchObject({ ok: false });
    expect(await own.dispatch('seen')).toBe('TimeoutError in time');
  });
});

test('the batches after one that spun paid for its grace and for the new thread', async () => {
  await using own = serving(
    `export const init = () => new Promise((resolve) => setTimeout(resolve, 1000));
     export const handleBatch = (v) => { if (v[0] === 'spin') for (;;); return v; }`,
    { batchSize: 1, handlerTimeout: 2400 },
  );
  const calls = ['warm', 'spin', 'a', 'b'].map((value) => own.tryDispatch(value));
  const outcomes = await Promise.all(calls);
  expect(outcomes.map(({ ok }) => ok)).toEqual([true, false, true, true]);
  expect((outcomes[1] as { error: unknown }).error).toBeInstanceOf(TimeoutError);
});

test('an idle thread holds no process; one that works does', async () => {
  const lines = await linesOf(`import { BatchServing } from ${library};
    const worker = ${JSON.stringify(module_('setInterval(() => {}, 1000); export const handleBatch = async (v) => { await new Promise((r) => setTimeout(r, 200)); return v; };'))};
    const own = new BatchServing({ partitions: { count: 1, worker } });
    own.dispatch(7).then(console.log);`);
  expect(lines).toEqual(['7']);
});

describe('where the process runs TypeScript', () => {
  test.each([[['--import', 'tsx']], [['--require', 'tsx/cjs', '--import', 'tsx']]])(
    '%j: the worker may be TypeScript',
    async (args) => {
      const worker = JSON.stringify(pathToFileURL(join(root, 'test', 'support', 'typescript-worker.ts')).href);
      const code = `import { BatchServing } from ${library};
      const own = new BatchServing({ partitions: { count: 1, worker: ${worker} } });
      console.log(await own.dispatch(21));
      await own.close();`;
      expect(await linesOf(code, args)).toEqual(['42']);
    },
  );
});

describe('where the package lies', () => {
  /** Bundles the sources as one file of the format. */
  async function bundle(outfile: string, format: 'esm' | 'cjs'): Promise<void> {
    await build({
      entryPoints: [join(root, 'src', 'index.ts')],
      bundle: true,
      platform: 'node',
      format,
      outfile,
      logLevel: 'error',
    });
  }

  test.each(['C#', 'a?b', 'with space', '100%25'])('a folder %s, required from CommonJS', async (name) => {
    const place = join(folder, name);
    mkdirSync(place, { recursive: true });
    await bundle(join(place, 'batch-please.cjs'), 'cjs');
    writeFileSync(join(place, 'w.cjs'), 'exports.handleBatch = (v) => v;');
    writeFileSync(
      join(place, 'm.cjs'),
      `const { BatchServing } = require('./batch-please.cjs');
       const worker = require('node:url').pathToFileURL(__dirname + '/w.cjs');
       const own = new BatchServing({ partitions: { count: 1, worker } });
       own.tryDispatch(1).then((outcome) => { console.log(JSON.stringify(outcome)); return own.close(); });`,
    );
    const { stdout } = await run(process.execPath, [join(place, 'm.cjs')], { timeout: 200_000 });
    expect(JSON.parse(stdout)).toEqual({ ok: true, value: 1 });
  });

  test.each(['esm', 'cjs'] as const)(
    'bundled by esbuild as %s: the worker module is an entry point of its own',
    async (format) => {
      const place = join(folder, `bundle-${format}`);
      mkdirSync(place);
      symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));
      writeFileSync(
        join(place, 'worker.ts'),
        'export const handleBatch = (v: number[]): number[] => v.map((x) => x + 1);',
      );
      writeFileSync(
        join(place, 'main.ts'),
        `import { pathToFileURL } from 'node:url';
       import { BatchServing } from ${JSON.stringify(join(root, 'src', 'index.ts'))};
       const own = new BatchServing<number, number>({ partitions: { count: 1, worker: pathToFileURL(process.argv[2]!) } });
       void own.dispatch(1).then((value) => { console.log(value); return own.close(); });`,
      );
      const entryPoints = [join(place, 'main.ts'), join(place, 'worker.ts')];
      const extension = format === 'esm' ? '.mjs' : '.cjs';
      const outdir = join(place, 'out');
      await build({
        entryPoints,
        bundle: true,
        minify: true,
        platform: 'node',
        format,
        outdir,
        outExtension: { '.js': extension },
        logLevel: 'error',
      });
      const files = [`main${extension}`, `worker${extension}`].map((file) => join(outdir, file));
      const { stdout } = await run(process.execPath, files, { timeout: 200_000 });
      expect(stdout.trim()).toBe('2');
    },
  );
});

test('the code of threads in thread-source.ts is that of thread.mjs: npm run embed-thread', async () => {
  const script = `import { embedded } from ${JSON.stringify(pathToFileURL(join(root, 'scripts', 'embed-thread.mjs')).href)};
    import { readFileSync } from 'node:fs';
    console.log(embedded() === readFileSync('src/serving/workers/thread-source.ts', 'utf8'));`;
  expect(await linesOf(script)).toEqual(['true']);
});
