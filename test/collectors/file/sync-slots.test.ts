import { syncInTurn } from '../../../collectors/file/sync-slots.js';

/** Real time: what has taken too long counts as hung. */

test('A8: syncs of two directories that hang, two of each, leave room for a third; nothing else has to happen first', async () => {
  const never: ((error: null) => void)[] = [];
  const hang = (done: (error: null) => void): void => {
    never.push(done);
  };
  const hung = ['a', 'a', 'b', 'b'].map((directory) => syncInTurn(directory, hang));
  await syncInTurn('c', (done) => {
    done(null);
  });
  // Node has four threads for files: the one of `c`, and at least one for all others.
  expect(never.length).toBeLessThan(4);
  for (let ended = 0; ended < hung.length; ended++) {
    never[ended]?.(null);
    await Promise.resolve();
  }
  await Promise.all(hung);
});

test('10,000 syncs that wait and fail at once all reject', async () => {
  const running: ((error: null) => void)[] = [];
  const first = [1, 2].map(() => syncInTurn('a', (done) => running.push(done)));
  const failing = Array.from({ length: 10_000 }, () =>
    syncInTurn('a', () => {
      throw new Error('EMFILE');
    }),
  );
  const settled = Promise.allSettled(failing);
  for (const end of running) end(null);
  await Promise.all(first);
  const rejected = (await settled).filter(({ status }) => status === 'rejected');
  expect(rejected).toHaveLength(10_000);
});
