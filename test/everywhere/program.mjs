// Uses every entry point once. Run by each runtime; prints "all good".
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BatchPlease, BatchServer, BatchServing, ClosedError, OptionsError, servingPool } from 'batch-please';
import { FileBatcher, MemoryBatcher, flushOnExit } from 'batch-please/collectors';
import { MemoryBatcher as Same } from 'batch-please/collectors/memory';
import { instrument } from 'batch-please/opentelemetry';
import { batched, toWritable, toWritableStream } from 'batch-please/streams';
import { TestClock, gate } from 'batch-please/testing';

assert.equal(MemoryBatcher, Same);
assert.ok(new MemoryBatcher() instanceof BatchPlease);
assert.throws(() => new MemoryBatcher({ maxBatchSize: 'two' }), OptionsError);

// Size, and age by the real clock; events, retries and promises.
const batches = [];
let failures = 1;
const batcher = new MemoryBatcher({
  maxBatchSize: 2,
  maxTimeSinceFirstItem: 20,
  retry: { minDelay: 1 },
  batchFlush: async ({ items }) => {
    if (failures-- > 0) throw new Error('once');
    batches.push(items);
  },
});
batcher.on('failed', () => undefined);
const undo = instrument(batcher);
batcher.addItem(1);
batcher.addItem(2);
await batcher.deliverItem(3);
undo();
assert.deepEqual(batches, [[1, 2], [3]]);
await batcher.close();
await assert.rejects(batcher.syncAddItem(4), ClosedError);

// By a clock of the test.
const clock = new TestClock();
const sink = gate();
const timed = new MemoryBatcher({ maxTimeSinceFirstItem: 50, clock, batchFlush: sink });
timed.addItem('a');
await clock.advance(50);
assert.equal(sink.calls.length, 1);
sink.openAll();
await timed.close();

// On disk, over two lives.
const directory = mkdtempSync(join(tmpdir(), 'everywhere-'));
const found = [];
const life = () =>
  new FileBatcher({
    batchDirectory: directory,
    durability: 'item',
    async batchFlush(batch) {
      for await (const item of batch.items()) found.push(item);
    },
  });
const first = life();
await Promise.all([first.syncAddItem('x'), first.syncAddItem('y')]);
await first.close({ flush: false });
const second = life();
assert.equal((await second.open()).items, 2);
await second.close();
assert.deepEqual(found, ['x', 'y']);
rmSync(directory, { recursive: true });

// Servings and batch servers.
const squares = new BatchServing({ batchSize: 10, batchTimeout: 1, handleBatch: (list) => list.map((n) => n * n) });
assert.deepEqual(await Promise.all([squares.dispatch(2), squares.dispatchMany([3, 4])]), [4, [9, 16]]);
const streamed = [];
for await (const event of squares.stream([5, 6])) streamed.push(...event.output);
assert.deepEqual(streamed, [25, 36]);
await squares.close();
const pool = servingPool(() => ({ handleBatch: (list) => list }));
assert.equal(await pool.get('k').dispatch(1), 1);
await pool.close();
class Counter extends BatchServer {
  init() {
    return { state: 0 };
  }
  handleBatch(ops, state) {
    for (const op of ops) {
      state++;
      if (op.kind === 'call') op.reply(state);
    }
    return { state };
  }
}
const counter = await Counter.start();
counter.cast('a');
assert.equal(await counter.call('b'), 2);
await counter.stop();

// Streams.
const lists = [];
for await (const list of batched(Readable.from([1, 2, 3]), { maxBatchSize: 2 })) lists.push(list);
assert.deepEqual(lists, [[1, 2], [3]]);
const written = [];
const writer = new MemoryBatcher({ maxBatchSize: 2, batchFlush: ({ items }) => void written.push(...items) });
await pipeline(Readable.from([1, 2, 3]), toWritable(writer));
await new Blob(['4']).stream().pipeTo(toWritableStream(writer));
assert.equal(written.length, 4);
await writer.close();

flushOnExit([writer])();
console.log('all good');
