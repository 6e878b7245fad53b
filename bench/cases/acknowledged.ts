import type { Case } from '../contract.js';

export const acknowledgedCases: readonly Case[] = [
  {
    id: 'b',
    group: 'b',
    title: 'deliverItem, acknowledged, waves of 1000',
    unit: 'ns/item',
    value: 'cpu',
    params: { n: 1_000_000, batchSize: 1000 },
    warmup: { n: 300_000 },
    quick: { n: 500_000 },
    contenders: [
      { name: 'floor', module: 'ack/floor-item', role: 'floor', note: 'one promise per item, by hand' },
      { name: 'one promise per batch', module: 'ack/floor-batch', role: 'floor', note: 'shared by its items' },
      { name: 'BatchPlease', module: 'ack/ours', role: 'ours', note: 'MemoryBatcher' },
      { name: 'dataloader', module: 'ack/dataloader', role: 'peer', note: 'no cache' },
      { name: 'async cargoQueue', module: 'ack/cargo-queue', role: 'peer' },
      { name: 'batshit', module: 'ack/batshit', role: 'peer' },
      { name: 'effect RequestResolver', module: 'ack/effect', role: 'peer', params: { n: 100_000 } },
    ],
    goals: [
      // The goal of 1.5 times dataloader's speed, in the first measurement: dataloader 345 ns, floor 287 ns.
      { contender: 'BatchPlease', over: 'floor', kind: 'ratio', atMost: 0.8, today: 1 },
      { contender: 'BatchPlease', over: 'dataloader', kind: 'ratio', atMost: 1 / 1.5 },
      { contender: 'BatchPlease', over: 'best peer', kind: 'ratio', atMost: 1 },
    ],
    fairness:
      'Each add is acknowledged when its batch was delivered; a wave is awaited with `Promise.all`, whose cost is everybody’s. ' +
      'bottleneck and pacer are missing on purpose: their promises resolve before the delivery, and also when it fails.',
  },
];
