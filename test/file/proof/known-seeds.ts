/** Seeds that once found a bug; they always run. What each found is said in short. */
export const KNOWN_SEEDS: readonly (readonly [seed: number, found: string])[] = [
  [67, 'G8: power loss undoes many deletes, none of which was synced'],
  [136, 'the same'],
  [183, 'the same'],
  [186, 'G5: a recovered file is delivered without having been synced'],
  [656, 'the same'],
  [792, 'the same'],
  [1239, 'G14: an attempt that has expired takes its batch back out of dead/'],
  [281, 'A2: deliverItem resolves for an item that a failed sync has lost'],
  [379, 'the same'],
  [414, 'G9: a file cannot be recovered because nobody listens to what is told of it'],
  [504, 'the same'],
  [4055, 'G8: overlapping syncs of the directory count the same removal twice'],
  [7560, 'A1: two attempts to move a batch to dead/ at the same time; the second says that it is lost'],
];
