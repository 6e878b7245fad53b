import type { Case } from '../contract.js';

export const pipeCases: readonly Case[] = [
  {
    id: 'm',
    group: 'm',
    title: 'lines into `cat > /dev/null`, by 10,000',
    unit: 'ns/line',
    value: 'wall',
    rounds: 5,
    params: { n: 1_000_000, batchSize: 10_000 },
    warmup: { n: 100_000 },
    contenders: [
      { name: 'batch-please pipe', module: 'pipe/ours', role: 'ours' },
      { name: 'batch-please pipe --spool', module: 'pipe/ours', role: 'ours', params: { spool: true } },
      { name: 'xargs', module: 'pipe/xargs', role: 'peer', note: 'lines as arguments, printed by the shell' },
      { name: 'GNU parallel', module: 'pipe/parallel', role: 'peer', note: '--pipe, one job at a time' },
    ],
    goals: [
      { contender: 'batch-please pipe', kind: 'absolute', atMost: 1000 },
      { contender: 'batch-please pipe', over: 'xargs', kind: 'ratio', atMost: 1 },
      { contender: 'batch-please pipe', over: 'GNU parallel', kind: 'ratio', atMost: 1 },
    ],
    fairness:
      'From the start of the program to its end, so the start of Node counts. The command of a batch is a shell that runs ' +
      '`cat`. Lines of up to seven digits, from a file through a pipe.',
  },
];
