import { ItemError } from '../../src/index.js';
import { TestClock } from '../../src/testing.js';
import { outbox, packFrame, type DurableLog } from '../../distributed/index.js';

/** Keeps frames by id; `fails` is called before each of them is stored. */
function memoryLog(fails: (frame: string) => void = () => undefined, largest = 1000): DurableLog<unknown> & Frames {
  const frames = new Map<string, string>();
  const nothing = async (): Promise<void> => {};
  return {
    frames,
    largest,
    open: nothing,
    close: nothing,
    redrive: async () => 0,
    source: () => {
      throw new Error('nobody reads');
    },
    append: async (items, id) => {
      const frame = new TextDecoder().decode(packFrame(items));
      fails(frame);
      const duplicate = frames.has(id);
      frames.set(id, frame);
      return { duplicate };
    },
  };
}
interface Frames {
  readonly frames: Map<string, string>;
}
const linesOf = ({ frames }: Frames): string[] => [...frames.values()].flatMap((frame) => frame.split('\n'));

test('an item that is too large or no JSON is refused alone; its neighbours are stored in one frame', async () => {
  const log = memoryLog();
  const out = outbox(log, { clock: new TestClock() });
  const outcomes = [1, 'x'.repeat(1000), 10n, undefined, 2].map((item) =>
    out.deliverItem(item).catch((error: unknown) => error),
  );
  await out.close();
  const [, tooLarge, big, nothing] = await Promise.all(outcomes);
  expect(tooLarge).toMatchObject({ code: 'ERR_BATCH_ITEM', cause: { code: 'ERR_BATCH_TOO_LARGE' } });
  for (const error of [big, nothing]) expect(error).toBeInstanceOf(ItemError);
  expect([...log.frames.values()]).toEqual(['1\n2']);
});

test('frames keep to the size of a message: 10 items of 300 bytes => 3+3+3+1', async () => {
  const log = memoryLog();
  const out = outbox(log, { clock: new TestClock() });
  out.addItems(Array.from({ length: 10 }, (_, n) => `${n}${'x'.repeat(296)}`));
  await out.close();
  expect([...log.frames.values()].map((frame) => frame.split('\n').length)).toEqual([3, 3, 3, 1]);
});

test('an item that was changed after it was accepted is given up alone', async () => {
  const log = memoryLog();
  const out = outbox(log, { clock: new TestClock() });
  out.on('dropped', () => {});
  const items: { n: number; self?: unknown }[] = Array.from({ length: 8 }, (_, n) => ({ n }));
  const outcomes = Promise.allSettled(items.map((item) => out.deliverItem(item)));
  const changed = items[5];
  if (changed !== undefined) changed.self = changed;
  await out.flush().catch(() => undefined);
  expect((await outcomes).map(({ status }) => status === 'fulfilled')).toEqual(items.map((_, n) => n !== 5));
  expect(linesOf(log).sort()).toEqual(items.filter((_, n) => n !== 5).map((item) => JSON.stringify(item)));
  await out.close();
});

test('attempts that are used up while the log is away lose nothing: the frame is held, and stored once', async () => {
  let away = true;
  const log = memoryLog(() => {
    if (away) throw new Error('no server');
  });
  const clock = new TestClock();
  const out = outbox(log, { clock, retry: { attempts: 2 } });
  for (const event of ['failed', 'held'] as const) out.on(event, () => {});
  const stored = out.deliverItem(1);
  await clock.advance(60_000);
  expect(out.state.batches).toMatchObject([{ status: 'held' }]);
  away = false;
  await out.flush();
  await stored;
  expect(linesOf(log)).toEqual(['1']);
  await out.close();
});
