// The packed package on other runtimes than the one that builds it.
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../support/project.js';
import { consumer, here, installTools, remove, tools, whyNot } from './installed.js';

let folder: string;
beforeAll(async () => {
  await installTools();
  folder = await consumer('@opentelemetry/api');
  cpSync(join(here, 'program.mjs'), join(folder, 'program.mjs'));
}, 300_000);
afterAll(() => {
  remove(folder);
});

/** A test that is skipped, loudly, where the runtime has no binary. */
function on(name: string, command: string, args: string[]): void {
  test(name, async () => {
    const missing = name.startsWith('Node') ? undefined : await whyNot(command);
    if (missing !== undefined) {
      console.warn(`SKIPPED: ${missing}`);
      return;
    }
    const path = name.startsWith('Node') ? command : join(tools, '.bin', command);
    expect(await mustRun(path, args, folder)).toContain('all good');
  });
}

on('Node', process.execPath, ['program.mjs']);
on('Bun', 'bun', ['program.mjs']);
on('Deno', 'deno', ['run', '--allow-all', '--node-modules-dir=manual', 'program.mjs']);

test('under the fake timers of node:test', async () => {
  writeFileSync(
    join(folder, 'fake.test.mjs'),
    `
    import assert from 'node:assert/strict';
    import { mock, test } from 'node:test';
    import { MemoryBatcher } from 'batch-please/collectors';
    import { BatchServing } from 'batch-please';

    for (const apis of [['setTimeout'], ['setTimeout', 'setInterval', 'setImmediate', 'Date']]) {
      test('with ' + apis.join(), async () => {
        mock.timers.enable({ apis });
        try {
          const batches = [];
          const batcher = new MemoryBatcher({
            maxTimeSinceFirstItem: 60_000,
            batchFlush: ({ items }) => void batches.push(items),
          });
          batcher.addItem(1);
          mock.timers.tick(59_000);
          assert.deepEqual(batches, []);
          mock.timers.tick(1_000);
          assert.deepEqual(batches, [[1]]);
          batcher.addItem(2);
          mock.timers.tick(60_000);
          assert.deepEqual(batches, [[1], [2]]);
          const serving = new BatchServing({ batchSize: 9, batchTimeout: 60_000, handleBatch: (list) => list });
          const answer = serving.dispatch('a');
          mock.timers.tick(60_000);
          assert.equal(await answer, 'a');
          await Promise.all([batcher.close(), serving.close()]);
        } finally {
          mock.timers.reset();
        }
      });
    }
    `,
  );
  await mustRun(process.execPath, ['--test', 'fake.test.mjs'], folder);
});
