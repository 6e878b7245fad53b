/** What the batcher under test already does as API.md (2) says; the model follows. */
export const RULES = {
  /** The core of `schedule.ts`, `batch.ts`, `core.ts`, `runner.ts`. */
  second: false,
};
