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
  [144090, 'G7: what a timeout refused is taken back, but that is not synced: power loss brings it back'],
  [154829, 'the same, for what close refused'],
  [167065, 'the same'],
  [181326, 'the same'],
  [5226, 'G12: what is added to a file while the directory is still being read is not held back'],
  [339663, 'G5: a recovered file is delivered though its directory could not be synced'],
];

/** The same for what came later: files that others move and spoil, few descriptors, calls that hang, disks that lie. */
export const LATER_SEEDS: readonly (readonly [seed: number, found: string])[] = [
  [27, 'G11: a lock that a hung disk gives after the end of close is kept'],
  [73, 'the same'],
  [326, 'G8: a copy has its name, and is forgotten, because the directory cannot be synced: the file comes again'],
  [2431, 'G17: a file loses its name while it is synced for the last time'],
  [2102577, 'G14: an extra attempt that does not begin is taken back twice, and the next one has the number -1'],
  [2103436, 'A1: a batch is counted twice as dead, because its move to dead/ takes longer than a flush may'],
  [2000983, 'G17: no event reports damaged lines that are in dead/ only'],
  [10167, 'G17: no event reports lost items whose file cannot be removed'],
  [1002659, 'A6: close() resolves while a file that was found is still being synced'],
  [1002473, 'A2: the model took a line that was written behind damage for an intact one'],
  [1011869, 'the same, with a restart in between'],
];
