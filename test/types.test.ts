/* eslint-disable @typescript-eslint/no-unnecessary-type-parameters, @typescript-eslint/no-unused-vars,
   @typescript-eslint/no-meaningless-void-operator, @typescript-eslint/no-unused-expressions,
   @typescript-eslint/no-redundant-type-constituents -- names and type parameters are here to be looked at by the
   compiler, and nothing else uses them */
import { join } from 'node:path';
import ts from 'typescript';
import {
  BatchPlease,
  type Awaitable,
  type BatchPleaseEvents,
  type BatchPleaseOptions,
  type BatchPleaseState,
  type Clock,
  type FlushContext,
  type Trigger,
} from 'batch-please';
import { MemoryBatcher, flushOnExit, type MemoryBatch } from 'batch-please/collectors';
import { TestClock, gate, random } from 'batch-please/testing';
import { root } from './support/project.js';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type IsAny<T> = 0 extends 1 & T ? true : false;
/** Fails to compile unless the type is `true`. */
function holds<_Claim extends true>(): void {}
/** Its type, without running anything. */
declare function the<T>(): T;

// Nothing in these functions runs: that they compile, errors where they are expected, is the test.

export function itemsAreInferred(): void {
  const fromHook = new MemoryBatcher({ batchFlush: ({ items }: { items: string[] }) => void items });
  holds<Same<typeof fromHook, MemoryBatcher<string>>>();
  fromHook.addItem('a');
  // @ts-expect-error -- a number is no string
  fromHook.addItem(1);
  // @ts-expect-error -- nor are they
  fromHook.addItems([1, 2]);
  // @ts-expect-error -- nor here
  void fromHook.syncAddItem(1);
  // @ts-expect-error -- nor here
  void fromHook.deliverItem(1);
  fromHook.addItems(new Set(['a']));

  const explicit = new MemoryBatcher<{ id: number }>({
    maxBatchSize: 10,
    weigh: (item) => item.id,
    batchFlush: ({ items }, context) => {
      holds<Same<typeof items, { id: number }[]>>();
      holds<Same<typeof context, FlushContext>>();
    },
    batchPreFlush: (batch) => ({ items: batch.items.slice(1) }),
    batchPostFlush: async (batch) => void batch.items,
    batchDeadLetter: (batch, error) => {
      holds<Same<typeof batch, MemoryBatch<{ id: number }>>>();
      holds<Same<typeof error, unknown>>();
    },
    batchTerminate: (batch) => {
      holds<Same<typeof batch, MemoryBatch<{ id: number }> | undefined>>();
    },
    shouldFlush: ({ lastItem, counts }) => lastItem?.id === counts.batchItems,
  });
  holds<Same<typeof explicit.state.lastItem, { id: number } | undefined>>();
  holds<Same<typeof explicit.state.batch, MemoryBatch<{ id: number }> | undefined>>();
}

export function subclassesNeedNoTricks(): void {
  class Summer extends BatchPlease<number, { sum: number }> {
    override batchInit() {
      return { sum: 0 };
    }
    override batchAddItem(batch: { sum: number }, item: number) {
      batch.sum += item;
    }
    override async batchFlush(batch: { sum: number }, { id, signal }: FlushContext) {
      await Promise.resolve([batch.sum, id, signal]);
    }
  }
  const summer = new Summer({ maxBatchSize: 3 });
  summer.addItem(1);
  // @ts-expect-error -- a string is no number
  summer.addItem('1');
  // @ts-expect-error -- its batch has no such field
  summer.state.batch?.total;

  class NextState extends BatchPlease<number, number> {
    override batchInit = () => 0;
    override batchAddItem = (sum: number, item: number) => sum + item;
    override batchFlush = (sum: number) => void sum;
  }
  new NextState();

  class Async extends BatchPlease<string, string[]> {
    override batchInit = async () => [];
    override batchAddItem = async (batch: string[], item: string) => [...batch, item];
    override batchFlush = async (batch: string[]) => void batch;
    override shouldFlush = (state: BatchPleaseState<string, string[]>) => state.pending > 5;
  }
  new Async();

  class WrongItem extends BatchPlease<number, number[]> {
    // @ts-expect-error -- its items are numbers
    override batchAddItem(batch: number[], item: string) {
      batch.push(item.length);
    }
  }
  new WrongItem();

  class WrongBatch extends BatchPlease<number, number[]> {
    // @ts-expect-error -- its batches are lists of numbers
    override batchInit() {
      return 'a string';
    }
  }
  new WrongBatch();

  class Late extends BatchPlease<number, number[]> {
    // @ts-expect-error -- it is asked at each add, and cannot be waited for
    override shouldFlush = async () => true;
  }
  new Late();

  // @ts-expect-error -- abstract: it has no hooks of its own
  new BatchPlease<number, number>();
}

export function optionsAreChecked(): void {
  // @ts-expect-error -- misspelt
  new MemoryBatcher<number>({ maxBatchsize: 5 });
  // @ts-expect-error -- a number
  new MemoryBatcher<number>({ maxBatchSize: '5' });
  // @ts-expect-error -- one of four
  new MemoryBatcher<number>({ overflow: 'block' });
  // @ts-expect-error -- 'hold' or 'drop'
  new MemoryBatcher<number>({ giveUp: 'retry' });
  // @ts-expect-error -- an object, or false
  new MemoryBatcher<number>({ retry: true });
  // @ts-expect-error -- misspelt
  new MemoryBatcher<number>({ retry: { attempt: 3 } });
  // @ts-expect-error -- a clock has three methods
  new MemoryBatcher<number>({ clock: { now: () => 0 } });
  // @ts-expect-error -- a weight is a number
  new MemoryBatcher<number>({ weigh: (item) => String(item) });
  new MemoryBatcher<number>({
    maxBatchSize: null,
    maxTimeSinceFirstItem: undefined,
    retry: false,
    clock: new TestClock(),
    batchFlush: null,
  });
}

export function verbsAreChecked(batcher: MemoryBatcher<number>): void {
  holds<Same<ReturnType<typeof batcher.addItem>, boolean>>();
  holds<Same<ReturnType<typeof batcher.addItems>, boolean>>();
  holds<Same<ReturnType<typeof batcher.syncAddItem>, Promise<void>>>();
  holds<Same<ReturnType<typeof batcher.deliverItem>, Promise<void>>>();
  holds<Same<ReturnType<typeof batcher.flush>, Promise<void>>>();
  holds<Same<ReturnType<typeof batcher.close>, Promise<void>>>();
  batcher.addItem(1, {
    onError: (error) => {
      holds<Same<typeof error, Error>>();
    },
  });
  void batcher.syncAddItem(1, { signal: AbortSignal.timeout(5) });
  void batcher.syncAddItem(1, { signal: undefined });
  void batcher.flush({ timeout: 5, signal: undefined });
  void batcher.close({ timeout: 5, flush: false });
  // @ts-expect-error -- misspelt
  batcher.addItem(1, { onerror: () => {} });
  // @ts-expect-error -- a controller is no signal
  void batcher.deliverItem(1, { signal: new AbortController() });
  // @ts-expect-error -- misspelt
  void batcher.flush({ timout: 5 });
  // @ts-expect-error -- close has no signal
  void batcher.close({ signal: AbortSignal.abort() });
  // @ts-expect-error -- one item is no list
  batcher.addItems(1);
  flushOnExit([batcher, { close: async () => 5 }], { signals: ['SIGHUP'], timeout: 5 });
  // @ts-expect-error -- no such signal
  flushOnExit([batcher], { signals: ['SIGNOT'] });
  // @ts-expect-error -- it has no close
  flushOnExit([{}]);
}

export function eventsAreTyped(batcher: MemoryBatcher<string>): void {
  const remove = batcher.on('flushed', (payload) => {
    holds<Same<keyof typeof payload, 'id' | 'reason' | 'size' | 'weight' | 'attempt' | 'duration' | 'result'>>();
    holds<Same<typeof payload.reason, Trigger>>();
  });
  holds<Same<typeof remove, () => void>>();
  batcher.on('failed', ({ error, retryAt }) => {
    holds<Same<typeof error, unknown>>();
    holds<Same<Extract<typeof retryAt, number>, number>>();
  });
  batcher.on('held', ({ error, id }) => {
    holds<Same<typeof error, unknown>>();
    holds<Same<typeof id, string>>();
  });
  batcher.on('dropped', ({ reason, size }) => {
    holds<Same<typeof reason, 'overflow' | 'giveUp'>>();
    holds<Same<typeof size, number>>();
  });
  batcher.on('refused', ({ item, error }) => {
    holds<Same<typeof item, string>>();
    holds<Same<typeof error, Error>>();
  });
  batcher.on('drained', () => {});
  batcher.on('closed', async () => {});
  // @ts-expect-error -- no such event
  batcher.on('flush', () => {});
  // @ts-expect-error -- no such field
  batcher.on('flushed', ({ items }) => void items);
  batcher.off('drained', () => {});
}

export function whatIsReadCannotBeWritten(batcher: MemoryBatcher<number>, context: FlushContext): void {
  // @ts-expect-error -- read-only
  context.id = 'mine';
  // @ts-expect-error -- read-only
  context.attempt = 5;
  // @ts-expect-error -- read-only
  batcher.state = the<typeof batcher.state>();
  // @ts-expect-error -- read-only
  batcher.state.pending = 5;
  // @ts-expect-error -- read-only
  batcher.state.counts.delivered = 5;
  // @ts-expect-error -- read-only
  batcher.state.times.lastFlush = 5;
  // @ts-expect-error -- read-only
  batcher.state.config.maxBatchSize = 5;
  // @ts-expect-error -- read-only
  batcher.state.config.retry.attempts = 5;
  // @ts-expect-error -- a reason is one of nine
  const wrong: Trigger = 'full';
  void wrong;
}

export function nothingIsAny(batcher: MemoryBatcher<number>, context: FlushContext): void {
  type AnyIn<T> = { [K in keyof T]-?: IsAny<T[K]> extends true ? K : never }[keyof T];
  holds<Same<AnyIn<BatchPlease<number, string>>, never>>();
  holds<Same<AnyIn<typeof batcher>, never>>();
  holds<Same<AnyIn<typeof batcher.state>, never>>();
  holds<Same<AnyIn<typeof batcher.state.config>, never>>();
  holds<Same<AnyIn<typeof batcher.state.counts>, never>>();
  holds<Same<AnyIn<typeof context>, never>>();
  holds<Same<AnyIn<BatchPleaseOptions<number, string>>, never>>();
  holds<Same<AnyIn<BatchPleaseEvents<number>>, never>>();
  type Payloads = BatchPleaseEvents<number>;
  holds<Same<{ [K in keyof Payloads]: AnyIn<Payloads[K]> }[keyof Payloads] & string, never>>();
}

export function testingIsTyped(): void {
  const clock: Clock = new TestClock();
  void clock;
  const sink = gate<[string, number], boolean>();
  holds<Same<typeof sink.calls, [string, number][]>>();
  holds<Same<ReturnType<typeof sink>, Promise<boolean>>>();
  sink.open(true);
  // @ts-expect-error -- its result is a boolean
  sink.open('yes');
  // @ts-expect-error -- its first argument is a string
  void sink(1, 1);
  holds<Same<ReturnType<ReturnType<typeof random>['next']>, number>>();
  const picked = random(1).pick(['a', 'b'] as const);
  holds<Same<typeof picked, 'a' | 'b'>>();
  holds<Same<Awaitable<number>, number | PromiseLike<number>>>();
}

// Jest itself strips the types; a compiler has to look at them.
test('what is right compiles, and what is wrong does not', () => {
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
  const program = ts.createProgram([__filename], options);
  const file = program.getSourceFile(__filename);
  const problems = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
  expect(
    problems.map(({ messageText, start }) => {
      const line = file?.getLineAndCharacterOfPosition(start ?? 0).line ?? 0;
      return `line ${line + 1}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
    }),
  ).toEqual([]);
}, 600_000);
