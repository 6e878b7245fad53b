import { setTimeout as sleep } from 'node:timers/promises';

/** Asks until it is so: for what happens in another process. */
export async function expectSoon(isSo: () => Promise<boolean>, limit = 90_000): Promise<void> {
  const start = performance.now();
  while (!(await isSo())) {
    if (performance.now() - start > limit) throw new Error(`still not so after ${limit} ms: ${isSo.toString()}`);
    await sleep(50);
  }
}
