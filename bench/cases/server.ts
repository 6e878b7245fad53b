import type { Case, Contender, Goal } from '../contract.js';

const ERLANG = 'gen_batch_server on Erlang/OTP 25, one scheduler (cited)';
const ELIXIR = 'the Elixir original (cited)';

function ahead(contender: string, source: string, figure: number): Goal {
  return { contender, over: { source, figure }, kind: 'ratio', atMost: 1 };
}

function server(
  id: string,
  title: string,
  kind: 'casts' | 'calls',
  erlang: number,
  floor: { readonly atMost: number; readonly today?: number },
  params: Case['params'],
  quick: Case['params'],
  steps: readonly Contender[] = [],
): Case {
  return {
    id,
    group: 'g',
    title: `batch server: ${title}`,
    unit: kind === 'casts' ? 'ns/message' : 'ns/call',
    value: 'cpu',
    params,
    warmup: { n: kind === 'casts' ? 1_000_000 : 100_000 },
    quick,
    contenders: [
      {
        name: 'floor',
        module: `server/floor-${kind}`,
        role: 'floor',
        note: kind === 'casts' ? 'a list, drained by setImmediate' : 'a list of calls, one promise each',
      },
      ...steps,
      { name: 'BatchServer', module: `server/ours-${kind}`, role: 'ours' },
    ],
    goals: [{ contender: 'BatchServer', over: 'floor', kind: 'ratio', ...floor }, ahead('BatchServer', ERLANG, erlang)],
    references: [{ name: ERLANG, figure: 1e9 / erlang }],
    fairness:
      'The floor has no limits, no order of kinds, no stop. Erlang’s figure comes from the same kind of machine, measured ' +
      'once; its messages cross between processes that could run on different cores, ours never leave the event loop.',
  };
}

export const serverCases: readonly Case[] = [
  server('g-casts', 'casts by one producer', 'casts', 7_000_000, { atMost: 2 }, { n: 3_000_000, perTurn: 10_000 }, {}),
  server(
    'g-cast-batch',
    'castBatch of 100',
    'casts',
    16_900_000,
    { atMost: 2, today: 2.4 },
    { n: 5_000_000, perTurn: 10_000, batch: 100 },
    { n: 3_000_000 },
  ),
  server(
    'g-sequence',
    'one caller, call after call',
    'calls',
    750_000,
    { atMost: 1.3 },
    { n: 200_000, callers: 1 },
    { n: 100_000 },
  ),
  server(
    'g-callers',
    '1000 callers',
    'calls',
    690_000,
    { atMost: 1.3, today: 1.5 },
    { n: 1_000_000, callers: 1000 },
    { n: 500_000 },
    [
      {
        name: 'floor, reply and fail',
        module: 'server/steps-calls',
        role: 'floor',
        params: { step: 'functions' },
        note: 'two functions of its own for each call',
      },
      {
        name: 'floor, state of a call',
        module: 'server/steps-calls',
        role: 'floor',
        params: { step: 'state' },
        note: 'and what a promise as the reply, a timeout, a signal and a count of the waiting need',
      },
    ],
  ),
  {
    id: 'g2-callers',
    group: 'g2',
    title: 'serving: 1000 callers dispatching',
    unit: 'ns/call',
    value: 'cpu',
    params: { n: 1_000_000, callers: 1000, batchSize: 1000 },
    warmup: { n: 300_000 },
    contenders: [
      { name: 'floor', module: 'dispatch/floor', role: 'floor' },
      { name: 'BatchServing', module: 'dispatch/ours', role: 'ours' },
    ],
    goals: [ahead('BatchServing', ELIXIR, 272_000)],
    references: [{ name: ELIXIR, figure: 1e9 / 272_000 }],
    fairness: 'As c. The original’s callers are processes, and what they send is copied.',
  },
  {
    id: 'g2-many',
    group: 'g2',
    title: 'serving: dispatchMany of 100',
    unit: 'ns/value',
    value: 'cpu',
    params: { n: 2_000_000, callers: 100, chunk: 100, batchSize: 1000 },
    warmup: { n: 500_000 },
    quick: { n: 1_000_000 },
    contenders: [
      { name: 'floor', module: 'serving/floor-many', role: 'floor', note: 'one promise per call; no batch size' },
      { name: 'BatchServing', module: 'serving/ours-many', role: 'ours' },
    ],
    goals: [
      { contender: 'BatchServing', over: 'floor', kind: 'ratio', atMost: 2 },
      ahead('BatchServing', ELIXIR, 7_000_000),
    ],
    references: [{ name: ELIXIR, figure: 1e9 / 7_000_000 }],
    fairness: '100 callers in a closed loop, batches of 1000.',
  },
  {
    id: 'g2-sequence',
    group: 'g2',
    title: 'serving: one caller, call after call',
    unit: 'ns/call',
    value: 'cpu',
    params: { n: 100_000, callers: 1, batchSize: 1000 },
    warmup: { n: 5_000 },
    quick: { n: 30_000 },
    contenders: [
      { name: 'floor', module: 'dispatch/floor', role: 'floor' },
      { name: 'BatchServing', module: 'dispatch/ours', role: 'ours', note: 'batchTimeout 0' },
      {
        name: 'dataloader',
        module: 'dispatch/dataloader',
        role: 'peer',
        note: 'does not wait for the event loop to turn',
      },
    ],
    goals: [ahead('BatchServing', ELIXIR, 91)],
    references: [{ name: ELIXIR, figure: 1e9 / 91 }],
    fairness:
      'The original was measured with a window of 10 ms, which it always waits for; ours has none and waits for the turn of ' +
      'the event loop. Not comparable as such: it shows what a fixed window costs a single caller.',
  },
  {
    id: 'g3-add',
    group: 'g3',
    title: 'collector: addItem',
    unit: 'ns/item',
    value: 'cpu',
    params: { n: 5_000_000, batchSize: 1000, perTurn: 10_000, hook: 'sync' },
    warmup: { n: 1_000_000 },
    contenders: [
      { name: 'floor', module: 'add/floor', role: 'floor' },
      { name: 'MemoryBatcher', module: 'add/ours-memory', role: 'ours' },
    ],
    goals: [ahead('MemoryBatcher', ELIXIR, 604_000)],
    references: [{ name: ELIXIR, figure: 1e9 / 604_000 }],
    fairness: 'As a. The original is a process of its own, to which each item is sent.',
  },
  {
    id: 'g3-sync',
    group: 'g3',
    title: 'collector: syncAddItem, one after the other',
    unit: 'ns/item',
    value: 'cpu',
    params: { n: 1_000_000, batchSize: 1000 },
    warmup: { n: 500_000 },
    quick: { n: 1_000_000 },
    contenders: [
      { name: 'floor', module: 'collector/floor-sync', role: 'floor', note: 'an async method' },
      { name: 'MemoryBatcher', module: 'collector/ours-sync', role: 'ours' },
    ],
    goals: [ahead('MemoryBatcher', ELIXIR, 610_000)],
    references: [{ name: ELIXIR, figure: 1e9 / 610_000 }],
    fairness: 'One producer that awaits each add.',
  },
  {
    id: 'g3-file',
    group: 'g3',
    title: 'collector: add to a file',
    unit: 'ns/item',
    value: 'cpu',
    params: { n: 200_000, perTurn: 10_000, batchSize: 10_000 },
    warmup: { n: 50_000 },
    contenders: [
      { name: 'floor', module: 'file/floor-async', role: 'floor' },
      { name: 'FileBatcher', module: 'file/ours', role: 'ours', params: { integrity: 'line' } },
    ],
    goals: [ahead('FileBatcher', ELIXIR, 56_000)],
    references: [{ name: ELIXIR, figure: 1e9 / 56_000 }],
    fairness: 'As d: no syncs. Ours adds a checksum to each line.',
  },
];
