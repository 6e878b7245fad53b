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

/** The same for batches that fail in part and are split. */
export const PARTS_SEEDS: readonly (readonly [seed: number, found: string])[] = [
  [174, 'G8: the last part of a batch has another id than its file, and so another after a restart'],
  [1996, 'G1: a file whose rest was written is cut again, because the directory could not be synced after that'],
  [2867, 'G1: the same, because a descriptor could not be closed'],
  [1148, 'G8: close() leaves a file whose parts have files of their own as it was: their items come again'],
  [100, 'G8: the same for a batch that is being moved to dead/'],
  [1430, 'G1: an attempt expires and splits a batch whose file is being written: that has the old items'],
  [2051, 'G14: an attempt that the sink has not seen splits the batch'],
  [2363, 'A1: the parts of a damaged batch are counted as if nothing were missing from them'],
  [5441, 'G8: two parts of one batch have the same id, since an attempt could not be noted in its name'],
  [5621, 'G8: the last attempt that maxAttempts allows fails in part, and counts as failed as a whole'],
  [6019, 'G1: a process without syncs splits a file that was on the disk: power loss takes both'],
  [7721, 'G17: a line that is damaged between a failure in part and the writing of the part moves the next items up'],
  [47029504, 'A6: close() does not wait for the file of a part that is being given up'],
  [46157520, 'G1: a copy of a file whose sync had failed took the place of what was left of it after a split'],
  [46131598, 'G1: a bad line is found between the writing of two parts, and the second gets other items'],
  [14888, 'G17: no event reports damaged lines that go with the file of the whole'],
];

/** The same for items that are never tried again, beside others that are. */
export const FATES_SEEDS: readonly (readonly [seed: number, found: string])[] = [
  [57002161, 'G1: the file of a whole was written anew while a part that was split off meanwhile had none'],
  [57001835, 'G8: the same'],
];

/** The same for batches that are taken back, limits that change, and hooks that take time or fail. */
export const VERBS_SEEDS: readonly (readonly [seed: number, found: string])[] = [
  [54041279, 'G12: the model took the copy that an earlier process had begun for one that is still there'],
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
  [25420, 'G14: the examination of an attempt that has expired brings a delivered batch back'],
  [3038356, 'G1: a sealed batch whose sync has failed is not synced again: power loss takes it after close()'],
  [3025759, 'G17: a copy that loses its name while it is synced is not copied once more'],
  [3001378, 'G17: a removed file is reported as one that cannot be synced'],
  [3006615, 'G16: each attempt on a disk that does not answer reads takes another descriptor'],
  [3014291, 'the same'],
  [3022289, 'the same'],
  [3016604, 'G1: the model took the sync of a directory that is not on the disk for one that can take files'],
  [20003705, 'G8: a look that fails keeps a delivered file from being removed'],
  [20017429, 'G7: close() does not report a batch that could neither be synced nor written again'],
  [20021216, 'G12: the model did not allow for the newline that a whole last line gets'],
  [20047399, 'G1: the model did not know that a failed sync takes what the sync before only pretended to write'],
  [20095623, 'G7: a group that was stored and then refused, before its callers heard of it, is delivered'],
  [20135484, 'G8: the model did not allow for a disk that has lied, and keeps two names of a file'],
  [20146620, 'A6: the model did not allow for a read that outlasts close()'],
  [20161330, 'G1: the model did not see a copy that a lying disk had only pretended to sync'],
  [20240874, 'G8: the model did not allow for a file that keeps two names, since its copy could not be synced'],
  [20273119, 'G1: the same as 20047399, for an item whose deliverItem was pending'],
  [30021452, 'G8: syncs of the directory that fail count as a row though others between them have succeeded'],
  [
    30022097,
    'G8: the model did not know that delivery goes on when the directory cannot be synced four times in a row',
  ],
  [31005330, 'G1: the model did not see that a line was hit while it was being written'],
  [31013042, 'G7: the model took items that had made room for others for lost ones'],
  [31023183, 'G1: the model did not see that a line had lost its newline only'],
  [31111788, 'G17: the model did not count what was given up and could not be moved to dead/'],
  [31075939, 'G17: lost items count as dropped if what is at the name of their file cannot be removed'],
  [
    36012782,
    'G8: a copy of a file whose sync had failed took the old name back when an attempt had given it a new one',
  ],
  [36042328, 'A2: the same as 20047399, for a deliverItem that resolves with its batch'],
  [38061562, 'G8: an empty file that power loss had left under an old name took the id of the file with the items'],
  [49114380, 'G1: a batch in dead/ whose sync had failed was not synced again: power loss took it after close()'],
  [39007081, 'G13: the model did not allow for a move to dead/ that power loss undoes while the clock goes back'],
];
