/** Seeds that once found a bug, or that reach a corner which few do; they always run. What each found is said in short. */
export const KNOWN_SEEDS: readonly (readonly [seed: number, found: string])[] = [
  [192, 'a held batch delays the age of the open one, although a lane is free'],
  [194, 'the same'],
  [217, 'time since the last flush, at first: counted from the add hook and not from acceptance'],
  [262, 'close({ timeout: 0 }) in an add hook: the item on its way is counted twice'],
  [360, 'a held batch that fails at a tick takes the tick away from the open one'],
  [402, 'close in an add hook: CloseError counts the item on its way again and again'],
  [549, 'close in an add hook: onError is not told'],
  [569, 'close in an add hook: the promises of other items get mixed up'],
  [785, 'flush() after a drop rejects for it, because an earlier flush() waits for the same position'],
  [856, 'close in an add hook: a delivered item is rejected'],
  [1997, 'addItem() from shouldFlush overfills the batch'],
  [3380, 'flush() after a drop rejects for it'],
  [4645, 'a tick from before a batch was held tries it again'],
  [5183, 'the same'],
];
