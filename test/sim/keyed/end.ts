import { CloseError } from 'batch-please';
import type { MemoryBatch } from 'batch-please/collectors';
import type { Fate, Item } from './records.js';
import type { World } from './world.js';

/** Rounds of 100 ms without any change after which nothing will change by itself: longer than any delay but `idleTimeout`. */
const STILL = 4;
const MOST_ROUNDS = 1000;

/** The sink works, and callers do nothing more: no caller may go on waiting for what does not come. */
export async function comeToRest(world: World): Promise<void> {
  const { batcher } = world;
  world.trace('-- from here on the sink works');
  world.healthy = true;
  world.resting = true;
  world.paused = false;
  batcher.resume();
  await still(world);
  checkRest(world);
  if (world.outcome.violations.length > 0) return;
  // Batches that were held are delivered now, so that there is room for all that wait.
  world.workload.watch('flush', batcher.flush());
  await still(world);
  if (batcher.state.batches.length > 0) world.wrong(`${batcher.state.batches.length} batches are never delivered`);
  checkRest(world);
  world.workload.watch('flush', batcher.flush());
  await still(world);
  if (batcher.state.pending > 0) world.wrong(`${batcher.state.pending} items are never delivered`);
  for (const { what, state, item } of world.promises)
    if (state === 'pending') world.wrong(`A2: ${what} of ${item?.key}:${item?.n} waits, and nothing is pending`);
}

async function still(world: World): Promise<void> {
  const { state } = world.batcher;
  const look = (): string =>
    JSON.stringify([state.counts, state.pending, world.promises.filter((each) => each.state === 'pending').length]);
  let [last, same] = [look(), 0];
  for (let round = 0; same < STILL; round++) {
    if (round > MOST_ROUNDS) {
      world.wrong('it never comes to rest');
      return;
    }
    await world.advance(100);
    same = look() === last ? same + 1 : 0;
    last = look();
  }
  world.check();
}

/** At rest an accepted item is in a batch that is held, or in an open one that is not due. */
function checkRest(world: World): void {
  const { plan, more, batcher, promises } = world;
  const { batches, inFlight, keys } = batcher.state;
  const held = new Set(batches.filter(({ status }) => status === 'held').map(({ key }) => key));
  if (inFlight.batches > 0) world.wrong(`${inFlight.batches} batches are in flight at rest`);
  for (const { key, status } of batches) if (!held.has(key)) world.wrong(`a batch of key ${key} is ${status} at rest`);
  const timed = plan.maxTimeSinceFirstItem !== null || more.factory === 'timers' || more.factory === 'alone';
  for (const key of keys) {
    const items = batcher.state.of(key)?.batch?.items ?? [];
    if (held.has(key) || items.length === 0) continue;
    if (timed || items.length >= plan.maxBatchSize) world.wrong(`${items.length} items of key ${key} are due, at rest`);
  }
  if (held.size > 0) return; // they may take all the room
  const open = new Set(world.open());
  for (const item of world.items) {
    if (item.fate === 'pending' && !open.has(item)) {
      if (item.abandoned) item.fate = 'out';
      else world.wrong(`A2: the caller of ${item.key}:${item.n} waits for room at rest, or it is lost`);
    }
    if (item.fate !== 'pending' && open.has(item)) world.wrong(`${item.key}:${item.n} is ${item.fate} and in a batch`);
  }
  for (const { what, state, item } of promises)
    if (what === 'syncAddItem' && state === 'pending') world.wrong(`A2: syncAddItem of ${item?.n} waits at rest`);
}

/** After close every promise is settled, and every item has had exactly one owner. */
export async function checkEnd(world: World): Promise<void> {
  const { random, batcher, clock, own, items } = world;
  world.paused = false;
  world.resting = false;
  const timeout = random.pick([0, 20, 5000]);
  const closing = batcher.close({ timeout });
  world.workload.watch('close', closing);
  closing.catch((error: unknown) => {
    if (!(error instanceof CloseError)) world.wrong(`close rejected with ${String(error)}`);
    else
      for (const { items: left } of error.batches as MemoryBatch<Item>[])
        for (const item of left) world.fate(item, 'left');
  });
  await world.advance(7000);
  await world.advance(7000);
  checkPromises(world);
  for (const item of items) if (item.abandoned && item.fate === 'pending') item.fate = 'out';
  const having = (fate: Fate): Item[] => items.filter((item) => item.fate === fate);
  const lost = having('pending');
  if (lost.length > 0) world.wrong(`lost: ${lost.map(({ key, n }) => `${key}:${n}`).join()}`);
  const { counts, keys, pending } = batcher.state;
  const left = having('left').length;
  if (pending !== left) world.wrong(`left ${left}, pending ${pending}`);
  const armed = clock.pendingTimers + own.pendingTimers;
  if (armed > 0) world.wrong(`A6: ${armed} timers are left`);
  for (const fate of ['delivered', 'refused', 'dropped', 'returned'] as const) {
    const really = having(fate).length;
    if (counts[fate] !== really) world.wrong(`A1: ${fate} ${really}, counted ${counts[fate]}`);
  }
  const total = items.length - having('out').length;
  if (counts.totalItems !== total) world.wrong(`A1: ${total} in all, counted ${counts.totalItems}`);
  world.outcome.evicted = new Set(items.map(({ key }) => key)).size - keys.length;
}

function checkPromises(world: World): void {
  for (const { what, state, item } of world.promises) {
    if (state === 'pending') world.wrong(`A2: a promise of ${what} is never settled`);
    else if (item === undefined || item.abandoned) continue;
    else if (what === 'deliverItem' ? (state === 'resolved') !== (item.fate === 'delivered') : refuted(state, item))
      world.wrong(`${what} of ${item.n} ${state}, but it was ${item.fate}`);
  }
}

/** syncAddItem resolves once the item is in its batch, and rejects only for one that will never be delivered. */
function refuted(state: string, { fate }: Item): boolean {
  return state === 'resolved' ? fate === 'refused' || fate === 'out' : fate === 'delivered';
}
