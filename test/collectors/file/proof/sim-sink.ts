import { PartialFlushError, TooLargeError, type FlushContext } from 'batch-please';
import type { FileBatch } from '../../../../collectors/file-batcher.js';
import type { StoredItem, Thing } from './item.js';
import { drawSink } from './plan.js';
import { Refusal } from './refusal.js';
import type { SimProcess } from './sim-process.js';

export async function sink(sim: SimProcess, batch: FileBatch<Thing>, context: FlushContext): Promise<void> {
  sim.addUp();
  const manner = drawSink(sim.random, sim.generation.sink);
  sim.note(`flush ${context.id} (${batch.size}, ${context.reason}, attempt ${context.attempt}): ${manner}`);
  if (sim.files.failed('rename') > 0) sim.ledger.renameFailed = true;
  if (!sim.files.dead) sim.ledger.attempt(context.id, context.attempt);
  if (context.attempt > sim.generation.maxAttempts) sim.ledger.bad(`G14: attempt ${context.attempt} of a batch`);
  if (batch.id !== context.id) sim.ledger.bad(`G8: batch ${batch.id} has the context of ${context.id}`);
  const { giveUp } = sim.generation;
  // Halves are known by their items.
  const refusesLate = giveUp === 'split' && manner.startsWith('refuse');
  if (manner === 'refuse' && !refusesLate) throw new Refusal('refused at once');
  const records: StoredItem[] = [];
  const half = Math.ceil(batch.size / 2);
  for await (const item of batch.items()) {
    const synced = sim.generation.durability !== 'none' && !sim.unsynced.has(context.id);
    const record = sim.ledger.seen(item, synced);
    if (record === undefined) return;
    if (record.said === 'refused' && record.generation === sim.ledger.generation) {
      sim.ledger.bad(`G7: item ${record.id} was refused, and flush sees it`);
    }
    records.push(record);
    if (manner === 'refuseHalfway' && !refusesLate && records.length === half) throw new Refusal('refused halfway');
  }
  if (manner === 'refuseAfter' || refusesLate) throw new Refusal('refused after all');
  if (manner === 'hang') {
    sim.hanging++;
    await new Promise(() => undefined);
  }
  if (manner === 'slow') {
    await new Promise<void>((resolve) => {
      sim.clock.setTimer(resolve, 1 + sim.random.int(80));
    });
  }
  if (sim.files.dead) throw new Refusal('it is dead');
  if (context.signal.aborted) throw new Refusal('too late');
  // A failed sync may have taken the damage back.
  if (records.length !== batch.size && !(sim.ledger.sabotaged && sim.ledger.anyEviction)) {
    sim.ledger.bad(`G1: batch ${batch.id} says ${batch.size} items, and has ${records.length}`);
  }
  const { delivered, error } = drawAnswer(sim, records);
  sim.note(`delivered ${context.id}: ${delivered.map(({ id }) => id).join(' ')}`);
  if (delivered.length > 0) sim.ledger.commit(context.id, delivered);
  if (error !== undefined) {
    sim.splits++;
    // The file may have been damaged since it was read: a hole hides how many lines it hit.
    for (const record of sim.ledger.sabotaged ? records : []) record.harmed = true;
    throw error;
  }
  const { givenUp, dead, powerLosses, begun } = sim.ledger;
  // A move to dead/ that power loss has undone: the process that chose the names after it did not see this one.
  const undone = powerLosses > 0 && (givenUp + dead > 0 || (begun.get(context.id) ?? 0) > context.attempt);
  if (!undone && giveUp !== 'split' && !context.id.includes('/')) checkOrder(sim, records);
}

/** Which of the items are delivered, and what is said of the others. */
function drawAnswer(sim: SimProcess, records: StoredItem[]): { delivered: StoredItem[]; error: Error | undefined } {
  const { parts } = sim.ledger;
  const { partly, tooLarge, final, slowPost } = sim.generation;
  if (tooLarge > 0 && records.length > 1 && parts.chance(tooLarge)) {
    for (const record of records) record.split = true;
    return { delivered: [], error: new TooLargeError() };
  }
  const fails = partly > 0 && parts.chance(partly);
  const why = (): string => (final > 0 && sim.ledger.fates.chance(final) ? FINAL : 'not this one');
  const errors = records.map(() => (fails && parts.chance(0.4) ? new Refusal(why()) : undefined));
  const delivered = records.filter((record, index) => {
    // The file of the others may be written anew, with a name of its own, before they are removed.
    record.split ||= errors[index] !== undefined || (fails && slowPost > 0);
    return errors[index] === undefined;
  });
  return { delivered, error: delivered.length < records.length ? new PartialFlushError(errors) : undefined };
}

const FINAL = 'never again';

/** The item is never to be tried again. */
export function isFinal(error: unknown): boolean {
  return error instanceof Refusal && error.message === FINAL;
}

/** The user's `batchPostFlush`. */
export function post(sim: SimProcess): Promise<void> | undefined {
  const { slowPost } = sim.generation;
  if (slowPost === 0 || !sim.ledger.fates.chance(slowPost)) return undefined;
  return new Promise((resolve) => {
    sim.clock.setTimer(resolve, 1 + sim.ledger.fates.int(60));
  });
}

/** G13. */
function checkOrder(sim: SimProcess, records: readonly StoredItem[]): void {
  const { lanes } = sim.generation;
  for (const { id, deliveries } of records) {
    if (deliveries > 1) continue; // power loss had undone its removal
    const previous = sim.order.at(-1);
    if (previous !== undefined && previous > id && lanes === 1 && !sim.ledger.isUnordered) {
      sim.ledger.bad(`G13: item ${id} comes after item ${previous}`);
    }
    sim.order.push(id);
  }
}
