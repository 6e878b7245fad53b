import { ClearedError, CloseError, ClosedError, FlushError, ItemError, OverflowError } from 'batch-please';
import type { Item, State } from './records.js';
import type { World } from './world.js';

/** The errors with which an item that ended so may reject. */
const EXPECTED = {
  dropped: [FlushError, OverflowError],
  returned: [ClearedError],
  refused: [ItemError, OverflowError, ClosedError],
  left: [ClosedError],
} as const;

/** After close every promise is settled, and every item has had exactly one owner. */
export function checkEnd(world: World, closing: NonNullable<World['closing']>): void {
  if (closing.outcome === 'pending') {
    world.bad('A8: close() never settles');
    return;
  }
  const reported = closing.error instanceof CloseError ? (closing.error.batches as State[]) : [];
  for (const id of reported.flatMap(({ items }) => items)) {
    // A dropped one that `batchDeadLetter` has not taken over has no owner.
    if (world.item(id).fate !== 'dropped' || world.buried.has(id)) world.move(id, 'left');
  }
  for (const item of world.items) checkItem(world, item, closing.flush);
  const { pending, counts } = world.batcher.state;
  const left = world.items.filter(({ fate }) => fate === 'left').length;
  const delivered = world.items.filter(({ fate }) => fate === 'delivered').length;
  if (closing.flush && pending !== left) world.bad(`A8: ${pending} are pending, CloseError reported ${left}`);
  if (counts.delivered !== delivered) world.bad(`A1: delivered is ${counts.delivered}, really ${delivered}`);
  if (world.clock.pendingTimers > 0 && !world.items.some(({ fate }) => fate === 'left') && world.calm)
    world.bad(`A6: ${world.clock.pendingTimers} timers after close`);
}

function checkItem(world: World, item: Item, flushed: boolean): void {
  const { id, fate, verb, outcome, error, heard } = item;
  if (fate === 'pending' || fate === 'called' || fate === 'waiting') {
    // Without flush what is left is given to batchTerminate alone.
    if (flushed) world.bad(`A12: item ${id} is ${fate} after close, and nobody has it`);
    return;
  }
  if (outcome === 'pending') world.bad(`A2: ${verb}(${id}) never settles; it is ${fate}`);
  if (heard !== undefined && heard.length !== (fate === 'delivered' ? 0 : 1))
    world.bad(`A2: onError of item ${id}, ${fate}, was called ${heard.length} times`);
  const reason = (outcome === 'rejected' ? error : heard?.[0]) as Error | undefined;
  if (reason === undefined || fate === 'delivered') return;
  if (!EXPECTED[fate].some((type) => reason instanceof type))
    world.bad(`item ${id}, ${fate}, was reported with ${String(reason)}`);
}
