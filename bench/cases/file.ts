import type { Case } from '../contract.js';

export const fileCases: readonly Case[] = [
  {
    id: 'd',
    group: 'd',
    title: 'FileBatcher, JSON items of 52 bytes, page cache only',
    unit: 'ns/item',
    value: 'wall',
    quickValue: 'cpu',
    rounds: 3,
    params: { n: 500_000, perTurn: 10_000, batchSize: 10_000 },
    warmup: { n: 50_000 },
    quick: { n: 100_000 },
    contenders: [
      { name: 'floor', module: 'file/floor-async', role: 'floor', note: 'async writes of 256 KiB' },
      { name: 'floor, sync', module: 'file/floor-sync', role: 'floor', note: 'sync writes of 64 KiB' },
      {
        name: "FileBatcher 'none'",
        module: 'file/ours',
        role: 'ours',
        params: { integrity: 'none' },
        note: 'the fair one: no checksum, as everybody else',
      },
      { name: "FileBatcher 'line'", module: 'file/ours', role: 'ours', params: { integrity: 'line' }, note: 'default' },
      { name: "FileBatcher 'suffix'", module: 'file/ours', role: 'ours', params: { integrity: 'suffix' } },
      {
        name: 'fs.createWriteStream',
        module: 'file/write-stream',
        role: 'peer',
        note: 'a high-water mark of 256 KiB; waits for drain',
      },
      { name: 'sonic-boom', module: 'file/sonic-boom', role: 'peer', note: 'minLength 4096, async; waits for drain' },
      {
        name: 'better-sqlite3',
        module: 'file/better-sqlite3',
        role: 'peer',
        note: 'WAL, no syncs, transactions of 10,000; can be queried, which a file cannot',
      },
      { name: 'lmdb', module: 'file/lmdb', role: 'peer', note: 'no syncs' },
      { name: 'classic-level', module: 'file/classic-level', role: 'peer', note: 'batches of 10,000, no syncs' },
    ],
    goals: [
      { contender: "FileBatcher 'none'", over: 'fs.createWriteStream', kind: 'ratio', atMost: 1 },
      { contender: "FileBatcher 'line'", over: 'floor', kind: 'ratio', atMost: 2 },
    ],
    fairness:
      'From the first add until everything was handed to the system; `JSON.stringify` is part of it for everybody. Nothing is ' +
      'synced. Everything is read back afterwards, item by item. FileBatcher changes files every 10,000 items and has recorded ' +
      'each batch so that a restart finds it; a stream has one file and knows nothing of batches.',
  },
  {
    id: 'd2',
    group: 'd',
    title: 'durable adds, 1000 writers',
    unit: 'items/s',
    value: 'rate',
    moreIsBetter: true,
    rounds: 3,
    params: { n: 200_000, callers: 1000, batchSize: 100_000 },
    warmup: { n: 200_000 },
    contenders: [
      { name: 'floor', module: 'durable/floor', role: 'floor', note: 'group commit by hand: write, fdatasync' },
      {
        name: "FileBatcher 'none'",
        module: 'durable/ours',
        role: 'ours',
        params: { integrity: 'none' },
        note: 'the fair one: no checksum, as everybody else',
      },
      {
        name: "FileBatcher 'line'",
        module: 'durable/ours',
        role: 'ours',
        params: { integrity: 'line' },
        note: 'default',
      },
      {
        name: 'better-sqlite3',
        module: 'durable/better-sqlite3',
        role: 'peer',
        note: 'WAL, synchronous = FULL, grouped by hand; blocks the event loop while it syncs',
      },
      {
        name: 'sonic-boom',
        module: 'durable/sonic-boom',
        role: 'peer',
        params: { n: 50_000 },
        note: 'fsync: true; acknowledged by its flush callback; blocks the event loop while it syncs',
      },
      { name: 'lmdb', module: 'durable/lmdb', role: 'peer', params: { n: 50_000 }, note: 'groups by itself' },
      {
        name: 'classic-level',
        module: 'durable/classic-level',
        role: 'peer',
        params: { n: 50_000 },
        note: 'sync: true, grouped by hand',
      },
    ],
    goals: [
      { contender: "FileBatcher 'line'", over: 'floor', kind: 'ratio', atMost: 1 / 0.9 },
      { contender: "FileBatcher 'line'", over: 'best peer', kind: 'ratio', atMost: 1 },
    ],
    fairness:
      'Every writer stores its next item when the last one is on disk. What a sync costs depends on the disk; set BENCH_DIR ' +
      'to a directory on the one that you mean.',
  },
];
