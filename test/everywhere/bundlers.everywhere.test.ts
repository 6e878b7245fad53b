// What applications bundle for browsers: small, without Node, and working.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { mustRun, root } from '../support/project.js';
import { consumer, installTools, remove, tools } from './installed.js';

let folder: string;
beforeAll(async () => {
  await installTools();
  folder = await consumer();
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  writeFileSync(
    join(folder, 'app.js'),
    `
    import { BatchPlease } from 'batch-please';
    import { MemoryBatcher } from 'batch-please/collectors/memory';
    import { batched, toWritableStream } from 'batch-please/streams';
    const batcher = new MemoryBatcher({ maxBatchSize: 2, batchFlush: ({ items }) => console.log('flushed', items.join()) });
    for await (const list of batched([1, 2, 3], { maxBatchSize: 3 })) batcher.addItems(list);
    await new Blob(['x']).stream().pipeTo(toWritableStream(batcher));
    await batcher.close();
    console.log(batcher instanceof BatchPlease);
    `,
  );
}, 300_000);
afterAll(() => {
  remove(folder);
});

/** The bundle has one file; it is run, as far as Node is a browser. */
async function works(directory: string): Promise<void> {
  const files = readdirSync(join(folder, directory), { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.m?js$/.test(name),
  );
  expect(files).toHaveLength(1);
  const file = join(folder, directory, files[0] ?? '');
  const code = readFileSync(file, 'utf8');
  expect(code).not.toMatch(/node:|BatchServing|handleContinue/);
  const out = await mustRun(process.execPath, [file], folder);
  expect(out).toBe('flushed 1,2\nflushed 3,120\ntrue\n');
  console.info(`${directory}: ${gzipSync(code).length} bytes, gzipped`);
}

test('esbuild', async () => {
  const args = ['app.js', '--bundle', '--minify', '--format=esm', '--platform=browser', '--outdir=esbuild'];
  await mustRun(join(tools, '.bin', 'esbuild'), args, folder);
  await works('esbuild');
});

test('rollup', async () => {
  const plugin = join(tools, '@rollup', 'plugin-node-resolve', 'dist', 'es', 'index.js');
  writeFileSync(
    join(folder, 'rollup.config.mjs'),
    `import { nodeResolve } from ${JSON.stringify(plugin)};
     export default { input: 'app.js', output: { dir: 'rollup', format: 'es' }, plugins: [nodeResolve({ browser: true })] };`,
  );
  await mustRun(join(tools, '.bin', 'rollup'), ['--config', 'rollup.config.mjs'], folder);
  await works('rollup');
});

test('vite', async () => {
  writeFileSync(
    join(folder, 'vite.config.mjs'),
    `export default { build: { target: 'es2022', outDir: 'vite', modulePreload: false, lib: { entry: 'app.js', formats: ['es'] } } };`,
  );
  await mustRun(join(tools, '.bin', 'vite'), ['build', '--logLevel', 'error'], folder);
  await works('vite');
});

test('the main entry bundles with every condition that a bundler may set', async () => {
  writeFileSync(join(folder, 'all.js'), `export * from 'batch-please'; export * from 'batch-please/testing';`);
  for (const conditions of ['browser', 'worker', 'module', '']) {
    const args = ['all.js', '--bundle', '--format=esm', '--platform=browser', `--conditions=${conditions}`];
    await mustRun(join(tools, '.bin', 'esbuild'), [...args, '--outfile=all/out.js'], folder);
  }
  expect(root).not.toBe('');
});
