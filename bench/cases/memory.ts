import type { Case } from '../contract.js';

const BYTES = { unit: 'bytes/item', value: 'bytes', rounds: 2, warmup: { n: 10_000 } } as const;
const LATE = { unit: 'ms late, p50', value: 'p50', warmup: { n: 5 }, rounds: 3 } as const;

const LATE_CONTENDERS = [
  { name: 'setTimeout', module: 'lateness/floor', role: 'floor' },
  { name: 'BatchPlease', module: 'lateness/ours', role: 'ours', note: 'maxTimeSinceFirstItem' },
  { name: 'bottleneck Batcher', module: 'lateness/bottleneck', role: 'peer' },
  { name: 'effect groupedWithin', module: 'lateness/effect', role: 'peer' },
  {
    name: '@tanstack/pacer Batcher',
    module: 'lateness/pacer',
    role: 'peer',
    note: 'its wait starts anew with each add: on a steady stream it never fires; here items come alone',
  },
  {
    name: 'rxjs bufferTime',
    module: 'lateness/rxjs',
    role: 'peer',
    note: 'not comparable: a grid that does not know when an item came, early as often as late',
  },
] as const;

export const memoryCases: readonly Case[] = [
  {
    ...BYTES,
    id: 'e',
    group: 'e',
    title: 'heap per queued item, fire and forget',
    params: { n: 1_000_000 },
    quick: {},
    contenders: [
      { name: 'floor', module: 'heap/floor', role: 'floor', note: 'one array' },
      { name: 'BatchPlease', module: 'heap/ours', role: 'ours', note: 'MemoryBatcher' },
      { name: 'bottleneck Batcher', module: 'heap/bottleneck', role: 'peer' },
      { name: 'rxjs bufferCount', module: 'heap/rxjs', role: 'peer' },
      { name: 'OpenTelemetry log processor', module: 'heap/otel-logs', role: 'peer', note: 'its queue alone' },
      { name: 'fastq', module: 'heap/fastq', role: 'peer', note: 'runs items one by one' },
    ],
    goals: [{ contender: 'BatchPlease', kind: 'absolute', atMost: 12.5 }],
    fairness:
      'One million small integers, which take no memory themselves, queued in one batch that never becomes full; after a ' +
      'garbage collection. @tanstack/pacer is missing: it copies the list at each add, which would take hours.',
  },
  {
    ...BYTES,
    id: 'e-ack',
    group: 'e',
    title: 'heap per queued item, acknowledged',
    params: { n: 1_000_000, acknowledged: true },
    quick: { n: 300_000 },
    contenders: [
      { name: 'floor', module: 'heap/floor', role: 'floor', note: 'one promise per item, by hand' },
      { name: 'BatchPlease', module: 'heap/ours', role: 'ours', note: 'deliverItem' },
      { name: 'BatchServing', module: 'heap/ours-serving', role: 'ours', note: 'dispatch' },
      { name: 'fastq', module: 'heap/fastq', role: 'peer' },
      { name: 'dataloader', module: 'heap/dataloader', role: 'peer', note: 'no cache' },
      { name: 'batshit', module: 'heap/batshit', role: 'peer' },
    ],
    goals: [{ contender: 'BatchPlease', kind: 'absolute', atMost: 200 }],
    fairness: 'As e; each add returns a promise, which is kept.',
  },
  {
    ...LATE,
    id: 'f',
    group: 'f',
    title: 'lateness of a max age of 10 ms, idle',
    params: { n: 100, age: 10, load: false },
    contenders: LATE_CONTENDERS,
    goals: [{ contender: 'BatchPlease', over: 'setTimeout', kind: 'difference', atMost: 0.3 }],
    fairness: 'One item at a time, from its add until its batch arrives.',
  },
  {
    ...LATE,
    id: 'f-load',
    group: 'f',
    title: 'lateness of a max age of 10 ms, under load',
    params: { n: 100, age: 10, load: true },
    contenders: LATE_CONTENDERS,
    goals: [{ contender: 'BatchPlease', over: 'setTimeout', kind: 'difference', atMost: 0.3 }],
    fairness: 'As f, while something else keeps the event loop busy for about 2 ms at a time.',
  },
];
