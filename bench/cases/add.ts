import type { Case, Contender } from '../contract.js';

const FLOOR: Contender = { name: 'floor', module: 'add/floor', role: 'floor', note: 'an array push behind a method' };
const OURS: Contender = { name: 'BatchPlease', module: 'add/ours', role: 'ours', note: 'a subclass' };
const MIXED: Contender = {
  name: 'BatchPlease, mixed hooks',
  module: 'add/ours-mixed',
  role: 'ours',
  note: 'after hooks of every shape (sync, async, returning, mutating) in the same process',
};
const MEMORY: Contender = { name: 'MemoryBatcher', module: 'add/ours-memory', role: 'ours', note: 'hooks as options' };
const BOTTLENECK: Contender = {
  name: 'bottleneck Batcher',
  module: 'add/bottleneck',
  role: 'peer',
  note: 'does not wait for an async hook; nothing tells of a failure',
};

const SHAPE = { n: 5_000_000, batchSize: 1000, perTurn: 10_000 };

export const addCases: readonly Case[] = [
  {
    id: 'a',
    group: 'a',
    title: 'addItem, batches of 1000, sync hook',
    unit: 'ns/item',
    value: 'cpu',
    params: { ...SHAPE, hook: 'sync' },
    warmup: { n: 1_000_000 },
    quick: { n: 3_000_000 },
    contenders: [
      FLOOR,
      OURS,
      MEMORY,
      MIXED,
      BOTTLENECK,
      { name: 'rxjs bufferCount', module: 'add/rxjs', role: 'peer' },
      { name: 'async cargoQueue', module: 'add/cargo-queue', role: 'peer' },
      {
        name: '@tanstack/pacer Batcher',
        module: 'add/pacer',
        role: 'peer',
        params: { n: 300_000 },
        note: 'a tenth of the items, since each add copies the batch',
      },
    ],
    goals: [
      { contender: 'BatchPlease', over: 'floor', kind: 'ratio', atMost: 1.5, today: 2.3 },
      { contender: 'BatchPlease', over: 'best peer', kind: 'ratio', atMost: 1 },
    ],
    fairness:
      'Nothing is acknowledged. Items are integers, 10,000 of them are added per turn of the event loop. ' +
      'The sink looks at the first and the last item of each batch; a run before the measured ones looks at each item.',
  },
  {
    id: 'a-async',
    group: 'a',
    title: 'addItem, batches of 1000, async hook',
    unit: 'ns/item',
    value: 'cpu',
    params: { ...SHAPE, hook: 'async' },
    warmup: { n: 1_000_000 },
    quick: { n: 3_000_000 },
    contenders: [
      FLOOR,
      OURS,
      MEMORY,
      MIXED,
      BOTTLENECK,
      { name: 'rxjs bufferCount', module: 'add/rxjs', role: 'peer', note: 'with concatMap: one batch after the other' },
      { name: 'async cargoQueue', module: 'add/cargo-queue', role: 'peer' },
      {
        name: 'OpenTelemetry log processor',
        module: 'add/otel-logs',
        role: 'peer',
        note: 'records made beforehand; its queue set to the number of items, as beyond it the newest are dropped',
      },
      {
        name: 'OpenTelemetry span processor',
        module: 'add/otel-spans',
        role: 'peer',
        params: { n: 1_000_000 },
        note: 'spans made beforehand; its queue set to the number of items, as beyond it the newest are dropped',
      },
      { name: 'effect groupedWithin', module: 'add/effect', role: 'peer' },
      {
        name: '@tanstack/pacer AsyncBatcher',
        module: 'add/pacer',
        role: 'peer',
        params: { n: 300_000 },
        note: 'a tenth of the items; flushes of several batches run at once',
      },
    ],
    goals: [
      { contender: 'BatchPlease', over: 'floor', kind: 'ratio', atMost: 2, today: 2.2 },
      { contender: 'BatchPlease', over: 'best peer', kind: 'ratio', atMost: 1 },
    ],
    fairness:
      'As a, with a sink that returns a promise. The floor, rxjs, cargoQueue, effect and we deliver one batch after the other; ' +
      'bottleneck and pacer let them overlap.',
  },
  {
    id: 'a-age',
    group: 'a',
    title: 'addItem with max age, time since last flush and interval set',
    unit: 'ns/item',
    value: 'cpu',
    params: { ...SHAPE, hook: 'sync', ages: true },
    warmup: { n: 1_000_000 },
    quick: { n: 3_000_000 },
    contenders: [
      { ...FLOOR, note: 'that of a, without any timer' },
      OURS,
      { ...BOTTLENECK, note: 'has a max age only' },
      {
        name: 'rxjs bufferTime',
        module: 'add/rxjs',
        role: 'peer',
        note: 'a grid of one second that starts at the subscription; has no max age',
      },
    ],
    goals: [
      { contender: 'BatchPlease', over: 'floor', kind: 'ratio', atMost: 2, today: 2.4 },
      { contender: 'BatchPlease', over: 'rxjs bufferTime', kind: 'ratio', atMost: 1 },
    ],
    fairness: 'All three times are one second, so that batches are cut by size and the timers have to be kept up with.',
  },
];
