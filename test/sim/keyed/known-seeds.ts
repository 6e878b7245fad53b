/** Seeds that once found something; they always run. What each found is said in short. */
export const KNOWN_SEEDS: readonly (readonly [seed: number, found: string])[] = [
  // The model took every key whose batches are all queued for one that waits for a lane.
  [
    9503185,
    'a caller let in by the events of a key, which has its lane, makes another key run all its batches at once',
  ],
];
