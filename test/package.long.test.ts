import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { build } from 'esbuild';
import { importsOf } from './support/layers.js';
import { filesUnder, manifest, mustRun, root } from './support/project.js';

jest.setTimeout(900_000);

// An empty folder outside the project, so that nothing is found by accident in the node_modules above it.
const folder = mkdtempSync(join(tmpdir(), 'batch-please-package-'));
const installed = join(folder, 'node_modules', 'batch-please');
const read = (file: string): string => readFileSync(join(installed, file), 'utf8');

beforeAll(async () => {
  // `prepack` builds, as it does for a release.
  await mustRun('npm', ['pack', '--pack-destination', folder], root);
  // What `npm ci` has brought is packed again, so that the test needs no network.
  await mustRun('npm', ['pack', '--ignore-scripts', '--pack-destination', folder, './node_modules/mitt'], root);
  const tarball = (name: string): string => {
    const file = readdirSync(folder).find((entry) => entry.startsWith(`${name}-`) && entry.endsWith('.tgz'));
    if (file === undefined) throw new Error(`npm pack left no tarball of ${name}`);
    return `file:${join(folder, file)}`;
  };
  const consumer = {
    name: 'consumer',
    private: true,
    dependencies: { 'batch-please': tarball('batch-please') },
    overrides: { mitt: tarball('mitt') },
  };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(consumer));
  const flags = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];
  await mustRun('npm', ['install', ...flags], folder);
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Uses each entry point once; only the way to load a module differs between the formats. */
function program(load: (specifier: string) => string): string {
  return `
    const { BatchPlease, OptionsError } = ${load('batch-please')};
    const collectors = ${load('batch-please/collectors')};
    const { MemoryBatcher } = ${load('batch-please/collectors/memory')};
    const { TestClock, gate, random } = ${load('batch-please/testing')};
    const { batched, toWritable } = ${load('batch-please/streams')};
    const assert = ${load('node:assert/strict')};

    async function main() {
      assert.equal(collectors.MemoryBatcher, MemoryBatcher, 'one class behind both entry points');
      assert.equal(typeof gate, 'function');
      assert.equal(random(1).int(10), random(1).int(10));

      const clock = new TestClock();
      const batches = [];
      const options = { maxBatchSize: 2, maxTimeSinceFirstItem: 50, clock, batchFlush: ({ items }) => void batches.push(items) };
      const batcher = new MemoryBatcher(options);
      assert.ok(batcher instanceof BatchPlease, 'one BatchPlease behind all entry points');
      batcher.addItem(1);
      batcher.addItem(2);
      batcher.addItem(3);
      await clock.advance(50);
      await batcher.close();
      assert.deepEqual(batches, [[1, 2], [3]]);
      assert.throws(() => new MemoryBatcher({ maxBatchSize: 'two' }), OptionsError);
      assert.throws(() => batched([], { maxBatchSize: 'two' }), OptionsError, 'one OptionsError too');
      assert.equal(typeof toWritable, 'function');
      // Messages name the class: bundling must not rename it.
      assert.equal(BatchPlease.name, 'BatchPlease');
      assert.equal(MemoryBatcher.name, 'MemoryBatcher');
      console.log('all good');
    }
    main().catch((error) => { console.error(error); process.exitCode = 1; });
  `;
}

test('works through import', async () => {
  writeFileSync(
    join(folder, 'program.mjs'),
    program((specifier) => `await import('${specifier}')`),
  );
  expect(await mustRun(process.execPath, ['program.mjs'], folder)).toBe('all good\n');
});

test('works through require', async () => {
  writeFileSync(
    join(folder, 'program.cjs'),
    program((specifier) => `require('${specifier}')`),
  );
  expect(await mustRun(process.execPath, ['program.cjs'], folder)).toBe('all good\n');
});

test.each([
  ['cjs', 'node'],
  ['cjs', 'browser'],
  ['esm', 'node'],
  ['esm', 'browser'],
] as const)(
  'a program that esbuild has bundled (%s, %s) works: mitt was no function in one of require()',
  async (format, platform) => {
    const [entry, bundle] = [
      `bundled-${format}.${format === 'cjs' ? 'cjs' : 'mjs'}`,
      `bundle-${format}-${platform}.cjs`,
    ];
    const get =
      format === 'cjs'
        ? `const { BatchServing } = require('batch-please');`
        : `import { BatchServing } from 'batch-please';`;
    const use = `new BatchServing({ handleBatch: (values) => values }).dispatch('all good').then(console.log);`;
    writeFileSync(join(folder, entry), `${get}\n${use}`);
    await build({
      entryPoints: [join(folder, entry)],
      bundle: true,
      platform,
      format: 'cjs',
      outfile: join(folder, bundle),
    });
    expect(await mustRun(process.execPath, [bundle], folder)).toBe('all good\n');
  },
);

test('has types for both formats under nodenext, which run as compiled', async () => {
  const source = `
    import { BatchPlease, FlushError } from 'batch-please';
    import { MemoryBatcher as FromAll } from 'batch-please/collectors';
    import { MemoryBatcher } from 'batch-please/collectors/memory';
    import { TestClock, gate } from 'batch-please/testing';
    import { batched } from 'batch-please/streams';

    class Summer extends BatchPlease<number, { sum: number }> {
      batchInit() { return { sum: 0 }; }
      batchAddItem(batch: { sum: number }, item: number) { batch.sum += item; }
      batchFlush(batch: { sum: number }) { sums.push(batch.sum); }
    }
    const sums: number[] = [];
    const seen: string[] = [];

    async function main(): Promise<void> {
      const summer = new Summer({ maxBatchSize: 3, clock: new TestClock() });
      for (const item of [1, 2, 3]) summer.addItem(item);
      await summer.flush();
      await summer.close();

      const batcher: FromAll<string> = new MemoryBatcher<string>({
        batchFlush: ({ items }) => void seen.push(...items.map((item) => item.toUpperCase())),
      });
      batcher.addItem('a');
      // @ts-expect-error the items are strings
      const wrong = (): boolean => batcher.addItem(1);
      await batcher.close();

      const error: unknown = undefined;
      if (error instanceof FlushError) console.log(error.code);
      for await (const list of batched(new Set(['x']), { maxBatchSize: 2 })) seen.push(...list);
      console.log(sums.join(), seen.join(), typeof gate, typeof wrong);
    }
    void main();
  `;
  writeFileSync(join(folder, 'esm.mts'), source);
  writeFileSync(join(folder, 'cjs.cts'), source);
  const compilerOptions = {
    target: 'ES2022',
    module: 'nodenext',
    lib: ['ES2022', 'DOM'],
    // Our declarations must hold without Node's types: in a browser project there are none.
    types: [],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    outDir: 'out',
    rootDir: '.',
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['esm.mts', 'cjs.cts'] }));
  const tsc = createRequire(__filename).resolve('typescript/bin/tsc');
  await mustRun(process.execPath, [tsc, '-p', '.'], folder);
  for (const file of ['esm.mjs', 'cjs.cjs']) {
    expect(await mustRun(process.execPath, [join('out', file)], folder)).toBe('6 A,x function function\n');
  }
});

/** The packages and built-in modules that a file of the package leads to. */
function modulesOf(...entries: string[]): string[] {
  const modules = new Set<string>();
  const files = new Set<string>();
  const walk = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    for (const specifier of importsOf(file, read(file))) {
      if (specifier.startsWith('.')) walk(posix.join(dirname(file), specifier));
      else modules.add(specifier);
    }
  };
  for (const entry of entries) walk(entry);
  expect(files.size).toBeGreaterThan(entries.length);
  return [...modules].sort();
}

test.each(['esm', 'cjs'])('the main entry (%s) needs nothing of Node, so it bundles for browsers', (format) => {
  expect(modulesOf(`dist/${format}/src/index.js`, `dist/${format}/src/testing.js`)).toEqual(['mitt']);
});

test.each(['esm', 'cjs'])('nor does the part of the streams (%s) that a browser gets', (format) => {
  const { exports } = manifest() as unknown as { exports: Record<string, object> };
  expect(Object.keys(exports['./streams'] ?? {})[0]).toBe('browser'); // the first condition that holds is taken
  expect(modulesOf(`dist/${format}/src/streams/browser.js`)).toEqual([]);
});

test('source maps lead to the sources, which they hold', () => {
  const maps = filesUnder(join(installed, 'dist')).filter((file) => file.endsWith('.js.map'));
  const sources = new Map<string, string>();
  for (const file of maps) {
    const map = JSON.parse(read(join('dist', file))) as { sources: string[]; sourcesContent: string[] };
    map.sources.forEach((source, index) => {
      sources.set(posix.join('dist', dirname(file), source), map.sourcesContent[index] ?? '');
    });
  }
  for (const file of ['collectors/memory-batcher.ts', 'src/streams/batched.ts']) {
    expect(sources.get(file)).toBe(readFileSync(join(root, file), 'utf8'));
  }
});

test('holds the licences of the code that is bundled', () => {
  expect(read('dist/THIRD-PARTY-LICENSES')).toMatch(/zod \d[^]*MIT License/);
});

test('its declarations name no package that is not installed with it', () => {
  const names = filesUnder(installed)
    .filter((file) => file.endsWith('.d.ts'))
    .flatMap((file) => importsOf(file, read(file)))
    .filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'));
  const { dependencies, peerDependencies } = manifest();
  const declared = Object.keys({ ...dependencies, ...peerDependencies });
  expect(names.filter((name) => !declared.includes(name))).toEqual([]);
});

test('holds the builds and the papers, and no path of the machine that built it', () => {
  const files = filesUnder(installed);
  const built =
    /^dist\/(esm|cjs)\/(package\.json$|(src|collectors|distributed|cli|shared)\/.*(\.js|\.js\.map|\.d\.ts)$|.*thread\.cjs$)/;
  const papers = ['CHANGELOG.md', 'LICENSE', 'README.md', 'dist/THIRD-PARTY-LICENSES', 'package.json'];
  expect(files.filter((file) => !built.test(file)).sort()).toEqual(papers);
  const leaking = files.filter((file) => {
    const text = read(file);
    return [root, `${homedir()}/`, 'file:///home', 'file:///work'].some((needle) => text.includes(needle));
  });
  expect(leaking).toEqual([]);
});
