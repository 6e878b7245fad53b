import type { Case } from '../contract.js';

export const servingCases: readonly Case[] = [
  {
    id: 'c',
    group: 'c',
    title: 'dispatch, 1000 callers in a closed loop',
    unit: 'ns/call',
    value: 'cpu',
    params: { n: 1_000_000, callers: 1000, batchSize: 1000 },
    warmup: { n: 300_000 },
    quick: { n: 500_000 },
    contenders: [
      { name: 'floor', module: 'dispatch/floor', role: 'floor', note: 'a list of calls, one promise each' },
      { name: 'BatchServing', module: 'dispatch/ours', role: 'ours', note: 'batchTimeout 0' },
      { name: 'dataloader', module: 'dispatch/dataloader', role: 'peer', note: 'no cache' },
      {
        name: 'async cargoQueue',
        module: 'dispatch/cargo-queue',
        role: 'peer',
        note: 'has no results per item: the task carries its own',
      },
      { name: 'batshit', module: 'dispatch/batshit', role: 'peer', note: 'a window of 1 ms or a full batch' },
      {
        name: 'effect RequestResolver',
        module: 'dispatch/effect',
        role: 'peer',
        params: { n: 100_000 },
        note: 'its callers are fibers',
      },
    ],
    goals: [
      // Dataloader's ratio in the first measurement: 310 ns, floor 250 ns.
      { contender: 'BatchServing', over: 'floor', kind: 'ratio', atMost: 1.24 },
      { contender: 'BatchServing', over: 'dataloader', kind: 'ratio', atMost: 0.85 },
    ],
    fairness:
      'Every caller makes its next call when the last one was answered, and checks that the answer is its own. The batch size ' +
      'is the number of callers. The handler is async and does nothing but double its values.',
  },
  {
    id: 'c2',
    group: 'c2',
    title: '500 callers that think 0–4 ms, a serial backend of 2 ms + 1 µs a value',
    unit: 'calls/s',
    value: 'rate',
    moreIsBetter: true,
    rounds: 3,
    params: { callers: 500, duration: 2000 },
    warmup: { duration: 300 },
    contenders: [
      {
        name: 'floor',
        module: 'closed-loop/floor',
        role: 'floor',
        note: 'a new batch forms while the old one runs, by hand',
      },
      { name: 'BatchServing', module: 'closed-loop/ours', role: 'ours', note: 'batchTimeout 0' },
      { name: 'async cargoQueue', module: 'closed-loop/cargo-queue', role: 'peer' },
      {
        name: 'dataloader, window of 5 ms',
        module: 'closed-loop/dataloader',
        role: 'peer',
        params: { window: 5 },
        note: 'its batchScheduleFn is a timer',
      },
      {
        name: 'dataloader',
        module: 'closed-loop/dataloader',
        role: 'peer',
        note: 'as it comes: gathers within one turn of the event loop only',
      },
    ],
    goals: [
      { contender: 'BatchServing', over: 'floor', kind: 'ratio', atMost: 1 / 0.97 },
      { contender: 'BatchServing', over: 'best peer', kind: 'ratio', atMost: 1 },
    ],
    fairness:
      'The backend runs one batch at a time, whoever calls it; it waits on a timer for the first millisecond and turns the ' +
      'event loop for the rest, so that its time is exact. Latencies are in milliseconds.',
  },
];
