type Known = readonly (readonly [seed: number, found: string])[];

/** Seeds that once found something; they always run. What each found is said in short. */
export const KNOWN_SEEDS: Known = [
  [10, 'syncAddItem resolved while the add hook of its item ran, since the call had started the batch before'],
  [
    108,
    'callers that needed a key went past one whose collector was closing, and made its key for a later caller of it',
  ],
  [296, 'the model took a caller, let in while its collector was calling a listener, for one that still waits'],
  [694, 'maxPending was exceeded by a hook that adds, of a collector that ignores the options'],
  [706, 'the model let the sink take longer than a timeout on another clock'],
  [1419, 'an item was refused as closed: its key was given up between the look for room and its add'],
  [62001110, 'the model took a sink that answers at once, while its listeners add, for a key that keeps its lane'],
  [62002356, 'syncAddItem resolved although the hook had refused its item'],
  [
    64003370,
    'close() began attempts that waited for a lane while their timeout ran; a batch that was never tried was dropped',
  ],
  [66007718, 'batchPostFlush of a paused key was not repeated, and syncAddItem waited for it for ever'],
  [62005340, 'the model took a caller, let in before the key of an earlier one was made, for one that overtakes it'],
];

/** Those from before there were features: they are the runs that they were without them. */
export const KNOWN_SEEDS_WITHOUT: Known = [
  [32, 'a caller that waited for a key was overtaken by later items of its key, which another caller had made'],
  // The model took every key whose batches are all queued for one that waits for a lane.
  [
    9503185,
    'a caller let in by the events of a key, which has its lane, makes another key run all its batches at once',
  ],
];
