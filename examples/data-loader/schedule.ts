/** Calls `dispatch` after all promise callbacks that are due; in browsers in the next task. */
export function afterPromiseJobs(dispatch: () => void): void {
  const { process, setImmediate } = globalThis as { process?: NodeJS.Process; setImmediate?: (fn: () => void) => void };
  if (typeof process?.nextTick === 'function') void Promise.resolve().then(() => process.nextTick(dispatch));
  else if (typeof setImmediate === 'function') setImmediate(dispatch);
  else setTimeout(dispatch);
}
