/** Seeds that once found a bug, or that reach a corner which few do; they always run. What each found is said in short. */
export const KNOWN_SEEDS: readonly (readonly [seed: number, found: string])[] = [
  [
    9406032,
    'the model took a set delay of 0 for shorter than the usual one of 1 ms; both count as 1, so the first counts',
  ],
  [
    55026599,
    'the model took an attempt that flush() had asked for during a pause, and that close() begins, for one of the schedule',
  ],
  [55042326, 'what a listener cleared while close() gave up the batch in front of it was reported by close() as well'],
  [73012008, 'flush() did not hurry a part that waited for its retry and had no lane yet'],
  [61007463, 'the model took a flush() during close() for one that hurries; it only waits for close()'],
];
