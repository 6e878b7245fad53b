import type { Random } from 'batch-please/testing';
import type { Durability, Integrity } from '../../../../collectors/file-batcher.js';
import { SABOTAGES, type Sabotage } from './sabotage.js';
import { CALM, type Call, CODES, type Manners, type Trouble } from './sim-files.js';

/** How a process ends. */
export type Ending = 'kill' | 'power' | 'close' | 'closeThenPower';

/** What the sink does with a batch. */
export type SinkManner = 'take' | 'slow' | 'refuse' | 'refuseAfter' | 'refuseHalfway' | 'hang';

/** One process. */
export interface Generation {
  durability: Durability;
  integrity: Integrity;
  maxBatchSize: number;
  age: number;
  interval: number;
  syncInterval: number;
  lanes: number;
  flushTimeout: number;
  maxBytes: number;
  overflow: 'wait' | 'reject' | 'dropNewest' | 'dropOldest';
  /** After so many attempts a batch is held, or dropped, which moves its file to `dead/`. */
  retries: number;
  giveUp: 'hold' | 'drop' | 'split';
  /** How often a batch that is read fails in part, and how often it is too large. */
  partly: number;
  tooLarge: number;
  /** How often an item that fails is never to be tried again, and how often `batchPostFlush` takes time. */
  final: number;
  slowPost: number;
  /** How often a user clears, pauses, resumes or configures before a step; and how often other hooks take time or fail. */
  verbs: number;
  hooks: number;
  /** How often a caller gives a signal, and aborts; and how often an item has no text. */
  aborts: number;
  mute: number;
  maxAttempts: number;
  minDelay: number;
  steps: number;
  ending: Ending;
  /** Whether the directory is removed, and at which step. */
  removal: number;
  /** What is done to the files, and at which steps. */
  sabotage: readonly (readonly [step: number, kind: Sabotage])[];
  files: Manners;
  sink: readonly (readonly [SinkManner, number])[];
  /** How far the time of day moves before it, in milliseconds. */
  drift: number;
}

export interface Plan {
  generations: Generation[];
  /** Where the faults of the file system come from. */
  faulty: boolean;
}

const GROUPS: readonly (readonly Call[])[] = [
  ['sync'],
  ['sync', 'syncDirectory'],
  ['write'],
  ['write', 'truncate'],
  ['write', 'create', 'rename', 'makeDirectory'],
  ['create', 'open', 'names', 'syncDirectory', 'lock'],
  ['rename'],
  ['remove'],
  ['rename', 'remove', 'create', 'truncate', 'write'],
  ['read'],
  ['stat'],
  ['open', 'read'],
  ['close'],
  Object.keys(CODES) as Call[],
];

export function drawPlan(random: Random): Plan {
  const faulty = random.chance(0.55);
  const removable = random.chance(0.02);
  const lives = 1 + random.int(4);
  const generations: Generation[] = [];
  const fixed = random.chance(0.5) ? drawGeneration(random) : undefined;
  for (let index = 0; index < lives; index++) {
    const drawn = drawGeneration(random);
    const generation = fixed === undefined ? drawn : { ...drawn, ...pickOptions(fixed) };
    generations.push({
      ...generation,
      removal: removable && random.chance(0.5) ? random.int(generation.steps) : -1,
      files: drawManners(random, faulty, index > 0),
    });
  }
  // The last one is given every chance to deliver what is left.
  generations.push({
    ...drawGeneration(random),
    maxBytes: Infinity,
    flushTimeout: Infinity,
    maxAttempts: fixed?.maxAttempts ?? Infinity,
    steps: 2,
    ending: 'close',
    removal: -1,
    files: { ...CALM, shortWrites: 0.05, slow: 0.05 },
    sink: [['take', 1]],
  });
  return { generations, faulty };
}

/** What came later draws from numbers of its own, so that older seeds go on living the lives that they are known for. */
export function drawMore({ generations }: Plan, random: Random): void {
  if (random.chance(0.5)) return;
  for (const generation of generations) {
    generation.aborts = random.pick([0, 0.2]);
    generation.mute = random.pick([0, 0.1]);
    // The last one is given every chance to deliver what is left.
    if (generation === generations.at(-1)) return;
    if (random.chance(0.3)) generation.overflow = 'dropOldest';
    if (random.chance(0.3)) generation.retries = 1 + random.int(3);
    generation.giveUp = random.pick(['hold', 'drop']);
  }
}

const HANGING: readonly (readonly Call[])[] = [
  ['sync'],
  ['sync', 'syncDirectory'],
  ['syncDirectory'],
  ['read'],
  ['names', 'makeDirectory', 'lock'],
  ['sync', 'syncDirectory', 'read', 'names', 'makeDirectory', 'lock'],
];

/** What came later still: files that others move, remove and spoil, few descriptors, calls that hang, disks that lie. */
export function drawTrials({ generations }: Plan, random: Random): void {
  if (random.chance(0.4)) return;
  const sabotaged = random.chance(0.5);
  const few = random.chance(0.25);
  const hanging = random.chance(0.25);
  const lying = random.chance(0.2);
  // Without anything else in the way, everything that is missing has to be accounted for.
  const calm = sabotaged && random.chance(0.5);
  for (const generation of generations.slice(0, -1)) {
    if (calm) {
      generation.files = { ...CALM, slow: generation.files.slow, shortWrites: generation.files.shortWrites };
      generation.removal = -1;
      generation.ending = 'close';
    }
    if (sabotaged) {
      generation.sabotage = Array.from({ length: random.int(4) }, () => [
        1 + random.int(generation.steps),
        random.pick(SABOTAGES),
      ]);
    }
    if (few && random.chance(0.7)) generation.files = { ...generation.files, descriptors: 1 + random.int(12) };
    if (hanging && !calm && random.chance(0.7)) {
      const from = random.int(random.pick([5, 40, 100]));
      const to = random.chance(0.5) ? Infinity : from + 1 + random.int(10);
      const ms = random.pick([Infinity, Infinity, 300, 3000]);
      generation.files = { ...generation.files, hang: { from, to, calls: random.pick(HANGING), ms } };
    }
    if (lying && random.chance(0.7)) {
      generation.files = { ...generation.files, lies: { from: random.int(60), chance: random.pick([0.3, 1]) } };
    }
  }
}

/** Batches that fail in part, and are split. */
export function drawParts({ generations }: Plan, random: Random): void {
  if (random.chance(0.4)) return;
  for (const generation of generations.slice(0, -1)) {
    generation.partly = random.pick([0, 0.2, 0.6]);
    generation.tooLarge = random.pick([0, 0, 0.2]);
    if (!random.chance(0.25)) continue;
    generation.giveUp = 'split';
    generation.retries = 1 + random.int(2);
  }
}

/** Items that are given up at once, beside others that are tried again, and a user's `batchPostFlush`. */
export function drawFates({ generations }: Plan, random: Random): void {
  if (random.chance(0.4)) return;
  for (const generation of generations.slice(0, -1)) {
    generation.final = random.pick([0, 0.3, 0.6]);
    generation.slowPost = random.pick([0, 0.3, 0.8]);
    if (random.chance(0.5)) generation.giveUp = 'drop';
    if (random.chance(0.5)) generation.partly = Math.max(generation.partly, 0.5);
  }
}

/** Batches that are taken back, pauses, limits that change, and a user's other hooks. */
export function drawVerbs({ generations }: Plan, random: Random): void {
  if (random.chance(0.4)) return;
  for (const generation of generations.slice(0, -1)) {
    generation.verbs = random.pick([0, 0.2, 0.5]);
    generation.hooks = random.pick([0, 0, 0.2, 0.6]);
  }
}

function pickOptions(from: Generation): Partial<Generation> {
  const { durability, integrity, maxBatchSize, maxBytes, maxAttempts, lanes } = from;
  return { durability, integrity, maxBatchSize, maxBytes, maxAttempts, lanes };
}

function drawGeneration(random: Random): Generation {
  const some = <T>(p: number, list: readonly T[], otherwise: T): T =>
    random.chance(p) ? random.pick(list) : otherwise;
  const sinkIsFine = random.chance(0.45);
  const flushTimeout = some(0.1, [30, 100], Infinity);
  return {
    durability: random.pick(['item', 'item', 'batch', 'batch', 'none']),
    integrity: random.pick(['line', 'line', 'line', 'suffix', 'none']),
    maxBatchSize: some(0.8, [1, 2, 3, 4, 6, 10], Infinity),
    age: some(0.4, [5, 50, 300], Infinity),
    interval: some(0.15, [40, 200], Infinity),
    syncInterval: random.pick([10, 100, 1000]),
    lanes: some(0.15, [2, 3], 1),
    flushTimeout,
    maxBytes: some(0.2, [400, 1000, 3000], Infinity),
    overflow: random.pick(['wait', 'reject', 'dropNewest']),
    maxAttempts: some(0.2, [1, 2, 3], Infinity),
    retries: Infinity,
    giveUp: 'hold',
    partly: 0,
    tooLarge: 0,
    final: 0,
    slowPost: 0,
    verbs: 0,
    hooks: 0,
    aborts: 0,
    mute: 0,
    minDelay: random.pick([0, 5, 50]),
    steps: 2 + random.int(10),
    ending: random.pick<Ending>(['kill', 'kill', 'power', 'power', 'close', 'closeThenPower']),
    removal: -1,
    sabotage: [],
    files: CALM,
    sink: sinkIsFine
      ? [
          ['take', 3],
          ['slow', random.int(2)],
        ]
      : [
          ['take', 2],
          ['slow', random.int(3)],
          ['refuse', random.int(4)],
          ['refuseAfter', random.int(2)],
          ['refuseHalfway', random.int(2)],
          ['hang', random.chance(0.2) ? 2 : 0],
        ],
    drift: random.chance(0.2) ? (random.next() - 0.5) * 10_000_000 : random.int(100_000),
  };
}

function drawManners(random: Random, faulty: boolean, recovering: boolean): Manners {
  const trouble: Trouble[] = [];
  if (faulty && random.chance(0.8)) {
    for (let count = 1 + random.int(2); count > 0; count--) {
      const calls = random.pick(GROUPS);
      const code = random.chance(0.3) ? random.pick(['EIO', 'ENOSPC', 'EMFILE', 'EACCES', 'EROFS']) : undefined;
      if (random.chance(0.5)) {
        trouble.push({ from: 0, to: Infinity, calls, chance: random.pick([0.02, 0.1, 0.3]), code });
      } else {
        const from = random.int(random.chance(0.5) ? 20 : 80);
        trouble.push({ from, to: from + 1 + random.int(30), calls, chance: random.pick([0.5, 1]), code });
      }
    }
  }
  const early = recovering && random.chance(0.5);
  return {
    ...CALM,
    crashAt: random.chance(0.65) ? 1 + random.int(early ? 20 : random.pick([30, 80, 150])) : 0,
    trouble,
    shortWrites: random.chance(0.3) ? 0.3 : 0.02,
    slowWrites: random.chance(0.15) ? 0.3 : 0,
    slow: random.chance(0.4) ? 0.4 : 0.03,
    evict: random.chance(0.5),
  };
}

export function drawSink(random: Random, manners: Generation['sink']): SinkManner {
  let total = 0;
  for (const [, weight] of manners) total += weight;
  let at = random.next() * total;
  for (const [manner, weight] of manners) {
    if (at < weight) return manner;
    at -= weight;
  }
  return 'take';
}
