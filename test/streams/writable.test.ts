import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MemoryBatcher } from 'batch-please/collectors';
import { toWritable, toWritableStream } from 'batch-please/streams';
import { OptionsError } from 'batch-please';
import { gate } from 'batch-please/testing';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function* numbers(total: number): Generator<number> {
  for (let n = 0; n < total; n++) yield n;
}

function counted(total: number): { source: Generator<number>; read: () => number } {
  let read = 0;
  function* count(): Generator<number> {
    for (const n of numbers(total)) {
      read++;
      yield n;
    }
  }
  return { source: count(), read: () => read };
}

/** By hand, as `Readable.toWeb` of Node 20 throws into the void when it is cancelled near its end. */
function streamOf(source: Iterable<number>): ReadableStream<number> {
  const iterator = source[Symbol.iterator]();
  return new ReadableStream({
    pull: (controller) => {
      const result = iterator.next();
      if (result.done === true) controller.close();
      else controller.enqueue(result.value);
    },
  });
}

/** The two ways to write into a collector, under one name. */
const kinds = [
  {
    kind: 'toWritable',
    run: (source: Iterable<number>, to: MemoryBatcher<number>): Promise<void> =>
      pipeline(Readable.from(source), toWritable(to)),
  },
  {
    kind: 'toWritableStream',
    run: (source: Iterable<number>, to: MemoryBatcher<number>): Promise<void> =>
      streamOf(source).pipeTo(toWritableStream(to)),
  },
];

describe.each(kinds)('$kind', ({ run }) => {
  test('delivers all items in order, the end flushing what is left', async () => {
    const batches: number[][] = [];
    const batcher = new MemoryBatcher<number>({ maxBatchSize: 2, batchFlush: ({ items }) => void batches.push(items) });
    await run(numbers(5), batcher);
    expect(batches).toEqual([[0, 1], [2, 3], [4]]);
    expect(batcher.addItem(9)).toBe(true); // it stays open
    await batcher.close();
  });

  test('a slow sink holds the source back', async () => {
    const sink = gate();
    const batcher = new MemoryBatcher<number>({ maxBatchSize: 10, batchFlush: sink });
    const { source, read } = counted(1000);
    const done = run(source, batcher);
    for (let n = 0; n < 50; n++) await turn();
    // A batch in the sink, and what the buffers of the streams themselves hold.
    expect(read()).toBeLessThan(60);
    expect(batcher.state.pending).toBeLessThanOrEqual(20);
    sink.openAll();
    await done;
    expect(batcher.state.counts.delivered).toBe(1000);
  });

  test('an error of the source leaves what was accepted to the collector', async () => {
    const batcher = new MemoryBatcher<number>({ batchFlush: () => undefined });
    function* failing(): Generator<number> {
      yield* numbers(3);
      throw new Error('source');
    }
    await expect(run(failing(), batcher)).rejects.toThrow('source');
    const { pending } = batcher.state;
    expect(pending).toBeGreaterThan(0);
    await batcher.flush();
    expect(batcher.state.counts.delivered).toBe(pending);
  });

  test('an item that is refused fails the stream; the items before it stay', async () => {
    const batcher = new MemoryBatcher<number>({
      batchAddItem: ({ items }, item) => {
        if (item === 2) throw new Error('no twos');
        items.push(item);
      },
      batchFlush: () => undefined,
    });
    batcher.on('refused', () => undefined);
    await expect(run(numbers(5), batcher)).rejects.toThrow('no twos');
    expect(batcher.state.pending).toBe(2);
  });

  test('a batch that is held rejects the end', async () => {
    const batcher = new MemoryBatcher<number>({
      retry: false,
      batchFlush: () => {
        throw new Error('sink');
      },
    });
    batcher.on('held', () => undefined);
    await expect(run(numbers(2), batcher)).rejects.toThrow('sink');
    expect(batcher.state.pending).toBe(2);
    expect(batcher.clear()).toHaveLength(1);
  });

  test('a batch that is held before the end fails the stream, after one try more, instead of stopping it for ever', async () => {
    let attempts = 0;
    const batcher = new MemoryBatcher<number>({
      maxBatchSize: 2,
      retry: false,
      batchFlush: () => {
        attempts++;
        throw new Error('sink');
      },
    });
    const off = batcher.on('held', () => undefined);
    await expect(run(numbers(5), batcher)).rejects.toThrow('sink');
    expect(attempts).toBe(2);
    expect(batcher.state.pending).toBeGreaterThanOrEqual(2);
    off();
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    await batcher.flush().catch(() => undefined);
    expect(warn).toHaveBeenCalled(); // no listener is left
    warn.mockRestore();
    batcher.clear();
  });

  test('a held batch that is delivered when tried once more lets the stream go on', async () => {
    let down = true;
    const batcher = new MemoryBatcher<number>({
      maxBatchSize: 2,
      retry: false,
      batchFlush: () => {
        if (!down) return;
        down = false;
        throw new Error('sink');
      },
    });
    batcher.on('held', () => undefined);
    await run(numbers(5), batcher);
    expect(batcher.state.counts.delivered).toBe(5);
  });

  test('a closed collector fails the stream', async () => {
    const batcher = new MemoryBatcher<number>({ batchFlush: () => undefined });
    batcher.on('refused', () => undefined);
    await batcher.close();
    await expect(run(numbers(2), batcher)).rejects.toMatchObject({ code: 'ERR_BATCH_CLOSED' });
  });
});

describe('an abort while an item waits for room leaves that item out, and settles though the sink hangs', () => {
  const full = async (): Promise<{ batcher: MemoryBatcher<number>; delivered: () => Promise<number> }> => {
    const sink = gate();
    const batcher = new MemoryBatcher<number>({ maxPending: 3, batchFlush: sink });
    batcher.addItems([1, 2, 3]);
    await turn();
    const delivered = async (): Promise<number> => {
      sink.openAll();
      await batcher.flush();
      return batcher.state.counts.delivered;
    };
    return { batcher, delivered };
  };

  test('toWritable', async () => {
    const { batcher, delivered } = await full();
    const abort = new AbortController();
    const done = pipeline(Readable.from([4]), toWritable(batcher), { signal: abort.signal });
    await turn();
    abort.abort();
    await expect(done).rejects.toMatchObject({ name: 'AbortError' });
    expect(await delivered()).toBe(3);
  });

  // By its writer: pipeTo waits for writes that have begun before it aborts, as the standard says.
  test('toWritableStream', async () => {
    const { batcher, delivered } = await full();
    const writer = toWritableStream(batcher).getWriter();
    const written = writer.write(4);
    await turn();
    const aborted = writer.abort(new Error('stop'));
    await expect(written).rejects.toThrow('stop');
    await aborted;
    await expect(writer.closed).rejects.toThrow('stop');
    expect(await delivered()).toBe(3);
  });
});

test.each([toWritable, toWritableStream])('what is no collector throws OptionsError', (make) => {
  expect(() => make({} as never)).toThrow(OptionsError);
  expect(() => make(undefined as never)).toThrow(OptionsError);
});
