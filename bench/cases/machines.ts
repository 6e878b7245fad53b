import type { Case } from '../contract.js';

const shared = { value: 'wall', rounds: 5 } as const;
const loopback = 'The server and every host is a process of its own on this machine, with the same few processors.';

export const machineCases: readonly Case[] = [
  {
    ...shared,
    id: 'j-consume',
    group: 'j',
    title: 'consuming 213-byte items in frames of 100 from JetStream',
    unit: 'ns/item',
    params: { n: 200_000, frame: 100 },
    warmup: { n: 20_000 },
    contenders: [
      { name: 'fetch and ack', module: 'machines/consume-raw', role: 'floor', note: 'acks are not confirmed' },
      { name: 'collect', module: 'machines/consume-ours', role: 'ours', note: 'every ack is confirmed' },
    ],
    goals: [{ contender: 'collect', over: 'fetch and ack', kind: 'ratio', atMost: 1 / 0.75 }],
    fairness: `Frames are parsed by both, and items are counted and added up. ${loopback}`,
  },
  {
    ...shared,
    id: 'j-publish',
    group: 'j',
    title: 'publishing 213-byte items to JetStream',
    unit: 'ns/item',
    params: { n: 200_000, frame: 100 },
    warmup: { n: 20_000 },
    contenders: [
      {
        name: 'one item a message',
        module: 'machines/publish-one',
        role: 'peer',
        params: { n: 20_000 },
        note: '1,000 under way',
      },
      { name: 'outbox, addItem', module: 'machines/publish-ours', role: 'ours' },
      {
        name: 'outbox, deliverItem',
        module: 'machines/publish-ours',
        role: 'ours',
        params: { awaited: true },
        note: '2,000 producers that wait for each item',
      },
    ],
    goals: [{ contender: 'outbox, addItem', over: 'one item a message', kind: 'ratio', atMost: 0.1 }],
    fairness: `Until the server has confirmed the last item. ${loopback}`,
  },
  {
    ...shared,
    id: 'k-calls',
    group: 'k',
    title: '1,000 callers of a serving over NATS',
    unit: 'ns/call',
    params: { n: 200_000, callers: 1000 },
    warmup: { n: 20_000 },
    contenders: [
      { name: 'bare requests', module: 'machines/calls-bare', role: 'peer', params: { n: 40_000 } },
      { name: 'RemoteServing', module: 'machines/calls-ours', role: 'ours' },
    ],
    goals: [{ contender: 'RemoteServing', over: 'bare requests', kind: 'ratio', atMost: 0.1 }],
    fairness: `The handler doubles a number. ${loopback}`,
  },
  {
    ...shared,
    id: 'k-hosts',
    group: 'k',
    title: '1,000 callers, handler of 5 ms + 0.01 ms a value: three hosts and one',
    unit: 'ns/call',
    params: { n: 100_000, callers: 1000, fix: 5, per: 0.01 },
    warmup: { n: 10_000 },
    contenders: [
      { name: 'one host', module: 'machines/calls-ours', role: 'ours' },
      { name: 'three hosts', module: 'machines/calls-ours', role: 'ours', params: { hosts: 3 } },
    ],
    goals: [{ contender: 'three hosts', over: 'one host', kind: 'ratio', atMost: 0.4 }],
    fairness: `The handler waits on a timer, so hosts do not compete for processors while they work. ${loopback}`,
  },
];
