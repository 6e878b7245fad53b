import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT_CONTEXT, SpanStatusCode, type Tracer, context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { BatchServer, BatchServing, OptionsError } from 'batch-please';
import { FileBatcher, KeyedBatcher, MemoryBatcher } from 'batch-please/collectors';
import { ATTRIBUTE, METRIC, type Target, instrument } from 'batch-please/opentelemetry';
import { gate } from 'batch-please/testing';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const manager = new AsyncLocalStorageContextManager();
beforeAll(() => {
  context.setGlobalContextManager(manager.enable());
});
afterAll(() => {
  context.disable();
});

/** A real SDK that keeps what it is sent. */
function sdk(): {
  instrument: (target: Target, name?: string) => () => void;
  /** Runs in a span of its own; returns its id. */
  within: (call: () => void) => string;
  spans: () => ReadableSpan[];
  /** Data points of a metric, by its attributes that are not the same everywhere. */
  metric: (name: string) => Promise<Record<string, unknown>>;
  tracer: Tracer;
} {
  const spanExporter = new InMemorySpanExporter();
  const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spanExporter)] }).getTracer('test');
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 });
  const meter = new MeterProvider({ readers: [reader] }).getMeter('test');
  return {
    tracer,
    instrument: (target, name) => instrument(target, { meter, tracer, ...(name !== undefined && { name }) }),
    within: (call) => {
      const span = tracer.startSpan('caller');
      context.with(trace.setSpan(ROOT_CONTEXT, span), call);
      return span.spanContext().spanId;
    },
    spans: () => spanExporter.getFinishedSpans(),
    metric: async (name) => {
      exporter.reset();
      await reader.forceFlush();
      const found: Record<string, unknown> = {};
      for (const resource of exporter.getMetrics()) {
        for (const { metrics } of resource.scopeMetrics) {
          for (const { descriptor, dataPoints } of metrics) {
            if (descriptor.name !== name) continue;
            for (const { attributes, value } of dataPoints) {
              const { [ATTRIBUTE.outcome]: outcome, [ATTRIBUTE.error]: error } = attributes;
              const key = [outcome, error].filter((part) => part !== undefined).join(' ') || 'all';
              const before = (found[key] ?? { count: 0, sum: 0 }) as { count: number; sum: number };
              const { count, sum = 0 } = value as { count: number; sum?: number };
              found[key] = typeof value === 'object' ? { count: before.count + count, sum: before.sum + sum } : value;
            }
          }
        }
      }
      return found;
    },
  };
}

const linksOf = (span: ReadableSpan | undefined): string[] => span?.links.map((link) => link.context.spanId) ?? [];

describe('a collector', () => {
  test('sends a span per flush, linked to the spans of its items', async () => {
    const { instrument: on, within, spans } = sdk();
    const batcher = new MemoryBatcher<number>({ maxBatchSize: 3, batchFlush: () => undefined });
    on(batcher, 'orders');
    const a = within(() => void batcher.addItems([1, 2]));
    const b = within(() => void batcher.addItem(3));
    const c = within(() => void batcher.addItem(4));
    await batcher.flush();
    const [first, second] = spans();
    expect(first?.name).toBe('flush orders');
    expect(linksOf(first)).toEqual([a, b]);
    expect(linksOf(second)).toEqual([c]);
    expect(first?.parentSpanContext).toBeUndefined();
    expect(first?.attributes).toMatchObject({
      'messaging.system': 'batch_please',
      'messaging.destination.name': 'orders',
      'messaging.operation.type': 'send',
      'messaging.batch.message_count': 3,
      'batch_please.batch.reason': 'size',
      'batch_please.batch.attempt': 1,
    });
    await batcher.close();
  });

  test('its spans are active while it flushes: what that calls becomes their child', async () => {
    const { instrument: on, spans, tracer } = sdk();
    const batcher = new MemoryBatcher<number>({
      batchFlush: async () => {
        await turn();
        tracer.startSpan('insert').end();
      },
    });
    on(batcher);
    batcher.addItem(1);
    await batcher.close();
    const [insert, flush] = spans();
    expect(flush?.name).toBe('flush MemoryBatcher');
    expect(insert?.parentSpanContext?.spanId).toBe(flush?.spanContext().spanId);
  });

  test('at most 128 links', async () => {
    const { instrument: on, within, spans } = sdk();
    const batcher = new MemoryBatcher<number>({ batchFlush: () => undefined });
    on(batcher);
    for (let n = 0; n < 200; n++) within(() => void batcher.addItem(n));
    await batcher.close();
    expect(linksOf(spans()[0])).toHaveLength(128);
  });

  test('a failed attempt is a span with an error, and the next one has the same links', async () => {
    const { instrument: on, within, spans, metric } = sdk();
    let attempts = 0;
    const batcher = new MemoryBatcher<number>({
      retry: { minDelay: 1 },
      batchFlush: () => {
        if (++attempts === 1) throw Object.assign(new Error('no database'), { code: 'ECONNREFUSED' });
      },
    });
    batcher.on('failed', () => undefined);
    on(batcher);
    const a = within(() => void batcher.addItem(1));
    await batcher.close();
    const [failed, delivered] = spans();
    expect(failed?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'no database' });
    expect(failed?.attributes['error.type']).toBe('ECONNREFUSED');
    expect(failed?.events[0]?.name).toBe('exception');
    expect([linksOf(failed), linksOf(delivered)]).toEqual([[a], [a]]);
    expect(await metric(METRIC.attempts)).toEqual({ all: 1, ECONNREFUSED: 1 });
    expect(await metric(METRIC.batchSize)).toEqual({ all: { count: 1, sum: 1 } });
  });

  test('measures batch sizes, durations, what is pending and waiting, and the age of the oldest item', async () => {
    const { instrument: on, metric } = sdk();
    const sink = gate();
    const batcher = new MemoryBatcher<number>({ maxBatchSize: 2, batchFlush: sink });
    on(batcher);
    expect(await metric(METRIC.oldest)).toEqual({ all: 0 });
    batcher.addItems([1, 2, 3]);
    await turn();
    await new Promise((resolve) => setTimeout(resolve, 20)); // ages are of the real clock
    expect(await metric(METRIC.pending)).toEqual({ all: 3 });
    expect(await metric(METRIC.waiting)).toEqual({ all: 1 });
    const { all } = await metric(METRIC.oldest);
    expect(all).toBeGreaterThan(0.015);
    sink.openAll();
    await batcher.flush();
    expect(await metric(METRIC.batchSize)).toEqual({ all: { count: 2, sum: 3 } });
    expect(await metric(METRIC.duration)).toEqual({ all: { count: 2, sum: expect.any(Number) as number } });
    expect(await metric(METRIC.oldest)).toEqual({ all: 0 });
    expect(await metric(METRIC.items)).toEqual({ delivered: 3, refused: 0, dropped: 0, returned: 0 });
    await batcher.close();
  });

  test('links stay right when items are refused, and are left out where they are not known', async () => {
    const { instrument: on, within, spans } = sdk();
    const batcher = new MemoryBatcher<number>({
      batchAddItem: ({ items }, item) => {
        if (item < 0) throw new Error('negative');
        items.push(item);
      },
      batchFlush: () => undefined,
    });
    batcher.on('refused', () => undefined);
    on(batcher);
    within(() => void batcher.addItem(-1));
    const a = within(() => void batcher.addItem(1));
    await batcher.flush();
    expect(linksOf(spans()[0])).toEqual([a]);
    within(() => void batcher.addItem(2));
    batcher.clear();
    const b = within(() => void batcher.addItem(3));
    await batcher.flush();
    expect([[], [b]]).toContainEqual(linksOf(spans()[1]));
    const c = within(() => void batcher.addItem(4));
    await batcher.flush();
    expect(linksOf(spans()[2])).toEqual([c]);
    await batcher.close();
  });

  test('an item that waits for room is linked to the batch that it joins', async () => {
    const { instrument: on, within, spans } = sdk();
    const sink = gate();
    const batcher = new MemoryBatcher<number>({ maxBatchSize: 1, maxPending: 1, batchFlush: sink });
    on(batcher);
    within(() => void batcher.addItem(1));
    const left = new AbortController();
    within(() => void batcher.deliverItem(2, { signal: left.signal }).catch(() => undefined));
    const c = within(() => void batcher.deliverItem(3));
    left.abort();
    await turn();
    sink.openAll();
    await batcher.flush();
    await turn();
    await batcher.close();
    expect(linksOf(spans()[1])).toEqual([c]);
  });

  test('a failure without another listener is still reported as a warning', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const { instrument: on } = sdk();
    const batcher = new MemoryBatcher<number>({
      retry: false,
      batchFlush: () => {
        throw new Error('sink');
      },
    });
    on(batcher);
    batcher.addItem(1);
    await batcher.flush().catch(() => undefined);
    expect(warn).toHaveBeenCalled();
    warn.mockRestore();
    batcher.clear();
    await batcher.close();
  });

  test('a FileBatcher too', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'batch-please-otel-'));
    const { instrument: on, within, spans, metric } = sdk();
    const batcher = new FileBatcher<number>({
      batchDirectory: directory,
      maxBatchSize: 2,
      batchFlush: () => undefined,
    });
    on(batcher, 'file');
    const a = within(() => void batcher.addItem(1));
    const b = within(() => void batcher.addItem(2));
    await batcher.close();
    expect(linksOf(spans()[0])).toEqual([a, b]);
    expect(await metric(METRIC.items)).toMatchObject({ delivered: 2 });
    rmSync(directory, { recursive: true });
  });

  test('undone, it is as it was', async () => {
    const { instrument: on, spans, metric } = sdk();
    const batcher = new MemoryBatcher<number>({ batchFlush: () => undefined });
    const before = Object.getOwnPropertyNames(batcher);
    const undo = on(batcher);
    undo();
    undo();
    expect(Object.getOwnPropertyNames(batcher).sort()).toEqual([...new Set([...before, 'batchFlush'])].sort());
    batcher.addItem(1);
    await batcher.close();
    expect(spans()).toEqual([]);
    expect(await metric(METRIC.pending)).toEqual({});
  });

  test('two at once send twice, and each can be undone alone', async () => {
    const one = sdk();
    const two = sdk();
    const batcher = new MemoryBatcher<number>({ batchFlush: () => undefined });
    one.instrument(batcher);
    const undo = two.instrument(batcher);
    batcher.addItem(1);
    await batcher.flush();
    undo();
    batcher.addItem(2);
    await batcher.close();
    expect([one.spans().length, two.spans().length]).toEqual([2, 1]);
  });

  test('of two at once the first, undone before the second, sends no more', async () => {
    const [one, two] = [sdk(), sdk()];
    const batcher = new MemoryBatcher<number>({ batchFlush: () => undefined });
    const undo = one.instrument(batcher);
    two.instrument(batcher);
    undo();
    batcher.addItem(1);
    await batcher.close();
    expect([one.spans().length, two.spans().length]).toEqual([0, 1]);
  });
});

describe('a tracer that throws', () => {
  const fail = (): never => {
    throw new Error('of the tracer');
  };
  const tracers: [string, () => Tracer][] = [
    ['at the start of a span', () => ({ startSpan: fail, startActiveSpan: fail })],
    [
      'at the end of a span',
      () => {
        const { tracer } = sdk();
        const startSpan: Tracer['startSpan'] = (...args) => Object.assign(tracer.startSpan(...args), { end: fail });
        return { startSpan, startActiveSpan: fail };
      },
    ],
  ];

  test.each(tracers)('%s: a collector delivers each item once', async (_, tracer) => {
    const sink = gate<[{ items: number[] }]>();
    sink.openAll();
    const batcher = new MemoryBatcher<number>({ batchFlush: sink });
    instrument(batcher, { tracer: tracer() });
    batcher.addItem(1);
    await batcher.close({ timeout: 2000 });
    expect(sink.calls.length).toBe(1);
  });

  test.each(tracers)('%s: servings and keyed collectors work', async (_, tracer) => {
    const serving = new BatchServing({ handleBatch: (values: readonly number[]) => [...values] });
    const keyed = new KeyedBatcher<number, number>({ key: () => 1, batchFlush: () => undefined });
    for (const target of [serving, keyed]) instrument(target, { tracer: tracer() });
    expect(await serving.dispatch(1)).toBe(1);
    keyed.addItem(1);
    await keyed.close();
    await turn();
    expect(keyed.state.counts.delivered).toBe(1);
  });
});

describe('a KeyedBatcher', () => {
  test('sends a span per flush of a key, linked to the spans of awaited adds, and its counts', async () => {
    const { instrument: on, within, spans, metric } = sdk();
    let fails = 1;
    const batcher = new KeyedBatcher<string, string>({
      key: (item) => item.slice(0, 1),
      maxBatchSize: 2,
      retry: { minDelay: 1 },
      batchFlush: () => {
        if (fails-- > 0) throw new TypeError('once');
      },
    });
    const end = on(batcher, 'tenants');
    const delivered: Promise<void>[] = [];
    const a = within(() => void delivered.push(batcher.deliverItem('a1'), batcher.deliverItem('a2')));
    await Promise.all(delivered.splice(0));
    await turn();
    batcher.addItem('b1');
    await batcher.flush();
    await turn();
    expect(spans().map(({ name, status, attributes }) => [name, status.code, attributes[ATTRIBUTE.batchSize]])).toEqual(
      [
        ['flush tenants', SpanStatusCode.ERROR, 2],
        ['flush tenants', SpanStatusCode.UNSET, 2],
        ['flush tenants', SpanStatusCode.UNSET, 1],
      ],
    );
    expect(spans().map(linksOf)).toEqual([[], [a], []]);
    within(() => void delivered.push(batcher.deliverItem('x1'), batcher.deliverItem('x2')));
    within(() => void delivered.push(batcher.deliverItem('y1'), batcher.deliverItem('y2')));
    await Promise.all(delivered);
    await turn();
    // Two keys at the same time: whose items were delivered is not known, and no link is better than a wrong one.
    expect(spans().slice(3).map(linksOf)).toEqual([[], []]);
    expect(await metric(METRIC.items)).toMatchObject({ delivered: 7 });
    expect(await metric(METRIC.attempts)).toMatchObject({ all: 4, TypeError: 1 });
    expect(await metric(METRIC.pending)).toEqual({ all: 0 });
    end();
    batcher.addItem('c1');
    await batcher.flush();
    expect(spans()).toHaveLength(5);
    await batcher.close();
  });
});

describe('a serving', () => {
  test('sends a span per batch, linked to the spans of its calls', async () => {
    const { instrument: on, within, spans, metric } = sdk();
    const serving = new BatchServing({
      batchSize: 2,
      batchTimeout: 0,
      handleBatch: (values: readonly number[]) => values.map((value) => value * 2),
    });
    on(serving, 'model');
    const calls: Promise<number>[] = [];
    const a = within(() => calls.push(serving.dispatch(1)));
    const b = within(() => calls.push(serving.dispatch(2)));
    expect(await Promise.all(calls)).toEqual([2, 4]);
    await turn();
    const [span] = spans();
    expect(span?.name).toBe('process model');
    expect(linksOf(span).sort()).toEqual([a, b].sort());
    expect(await metric(METRIC.batchSize)).toEqual({ all: { count: 1, sum: 2 } });
    expect(await metric(METRIC.items)).toEqual({ delivered: 2, failed: 0, aborted: 0 });
    await serving.close();
  });

  test('the links of a batch that failed went to the next one', async () => {
    const { instrument: on, within, spans } = sdk();
    const serving = new BatchServing({
      batchSize: 2,
      batchTimeout: 0,
      handleBatch: async (values: readonly number[]) => {
        await turn();
        if (values.includes(0)) throw new Error('zero');
        return [...values];
      },
    });
    on(serving);
    const calls: Promise<unknown>[] = [];
    const links = [0, 1, 2, 3].map((value) => within(() => calls.push(serving.dispatch(value))));
    await Promise.allSettled(calls);
    await turn();
    const linked = spans().map((span) => linksOf(span).sort());
    expect(linked).toEqual([links.slice(0, 2).sort(), links.slice(2).sort()]);
    await serving.close();
  });

  test('the link of a call that was aborted went to the next batch', async () => {
    const { instrument: on, within, spans } = sdk();
    const serving = new BatchServing({ batchSize: 2, handleBatch: (values: readonly number[]) => [...values] });
    on(serving);
    const leaving = new AbortController();
    const calls: Promise<unknown>[] = [];
    within(() => calls.push(serving.dispatch(1, { signal: leaving.signal })));
    leaving.abort();
    await Promise.allSettled(calls);
    await turn();
    const links = [2, 3].map((value) => within(() => calls.push(serving.dispatch(value))));
    await Promise.allSettled(calls);
    await turn();
    expect(spans().map((span) => linksOf(span).sort())).toEqual([links.sort()]);
    await serving.close();
  });

  test('a failed batch is a span with an error', async () => {
    const { instrument: on, spans, metric } = sdk();
    const serving = new BatchServing({
      handleBatch: (): number[] => {
        throw new TypeError('no model');
      },
    });
    on(serving);
    await expect(serving.dispatch(1)).rejects.toThrow('no model');
    await turn();
    expect(spans()[0]?.attributes['error.type']).toBe('TypeError');
    expect(await metric(METRIC.attempts)).toEqual({ TypeError: 1 });
    await serving.close();
  });
});

describe('a batch server', () => {
  class Adder extends BatchServer<number, number, number, number> {
    override init(): { state: number } {
      return { state: 0 };
    }
    override handleBatch(ops: Parameters<BatchServer<number, number, number, number>['handleBatch']>[0]): void {
      for (const op of ops) if (op.kind === 'call') op.reply(op.request + 1);
    }
  }

  test('sends a span per batch, linked to the spans of its messages', async () => {
    const { instrument: on, within, spans, metric } = sdk();
    const server = await Adder.start(undefined, { name: 'adder' });
    const undo = on(server, 'adder');
    const answers: Promise<number>[] = [];
    const a = within(() => answers.push(server.call(1)));
    const b = within(() => void server.cast(5));
    expect(await Promise.all(answers)).toEqual([2]);
    await turn();
    const [span] = spans();
    expect(span?.name).toBe('process adder');
    expect(linksOf(span)).toEqual([a, b]);
    expect(await metric(METRIC.items)).toEqual({ handled: 2, failed: 0, dropped: 0, refused: 0 });
    undo();
    await server.call(1);
    expect(spans()).toHaveLength(1);
    await server.stop();
  });
});

test('what is none of these throws OptionsError', () => {
  for (const target of [undefined, null, 1, {}, new Map()]) {
    expect(() => instrument(target as never)).toThrow(OptionsError);
  }
});

test.each([
  ['meter', 5],
  ['tracer', {}],
  ['name', 7],
  ['nome', 'orders'],
])('a wrong or unknown option throws OptionsError: %s', (option, given) => {
  const batcher = new MemoryBatcher<number>({ batchFlush: () => undefined });
  const instrumenting = (): unknown => instrument(batcher, { [option]: given });
  expect(instrumenting).toThrow(OptionsError);
  expect(instrumenting).toThrow(new RegExp(`${option}: expected .*, given`));
});

test('without an SDK it does nothing, and harms nothing', async () => {
  const batcher = new MemoryBatcher<number>({ batchFlush: () => undefined });
  instrument(batcher);
  batcher.addItem(1);
  await batcher.close();
  expect(batcher.state.counts.delivered).toBe(1);
});
