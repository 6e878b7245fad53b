import { isMissing } from '../../../../collectors/file/writing.js';
import { Refusal } from './refusal.js';
import type { SimProcess } from './sim-process.js';

export function listen(sim: SimProcess): void {
  hearLosses(sim);
  const batcher = sim.batcher;
  batcher.on('unowned', () => undefined);
  if (sim.generation.files.lies !== undefined) {
    // A copy that was made meanwhile may be there in its place after a power loss, and be nothing.
    const replaced = (): void => {
      sim.ledger.replaced = true;
    };
    sim.files.onCopy = replaced;
    for (const event of ['quarantined', 'rescued'] as const) batcher.on(event, replaced);
  }
  batcher.on('refused', () => undefined);
  batcher.on('failed', ({ error, hook }) => {
    sim.note(`failed: ${hook}: ${String(error)}`);
    // Whatever a hook of the collector's own says must be an error of ours.
    if (!(error instanceof Refusal) && !(error instanceof Error)) sim.ledger.bad('G7: a failure without an error');
  });
  batcher.on('held', () => undefined);
  batcher.on('dropped', ({ reason, size }) => {
    sim.note(`dropped: ${size} (${reason})`);
    if (reason === 'giveUp') sim.ledger.givenUp += size;
    else sim.displaced += size;
    if (reason === 'overflow' && sim.generation.overflow === 'dropOldest') sim.ledger.dropped += size;
  });
  batcher.on('closed', () => undefined);
  batcher.on('recovered', (report) => {
    sim.note(`recovered: ${JSON.stringify(report)}`);
    sim.recovered = true;
    if (report.unreadableFiles > 0) sim.ledger.unreadable = true;
    if (report.badLines > 0 && !sim.ledger.damage) {
      sim.ledger.bad(`G2: ${report.badLines} bad lines though nothing was damaged`);
    }
  });
  batcher.on('unreadable', ({ filename, error }) => {
    sim.note(`unreadable: ${filename}: ${String(error)}`);
    sim.ledger.unreadable = true;
    // Power loss may leave one batch under two names, the second of which the first attempt of the first takes.
    const twice = sim.ledger.powerLosses > 0 && isMissing(error);
    if (!sim.files.trouble && !sim.files.dead && !sim.removed && sim.sabotages === 0 && !twice) {
      sim.ledger.bad(`G9: ${filename} cannot be recovered though nothing failed: ${String(error)}`);
    }
  });
  // An event without a listener becomes a warning, and must harm nothing.
  if (!sim.last && sim.random.chance(0.3)) return;
  batcher.on('quarantined', ({ id, lines }) => {
    sim.note(`quarantined: ${id}: ${lines} lines`);
  });
  batcher.on('dead', ({ id, size }) => {
    sim.note(`dead: ${id}`);
    sim.ledger.dead += size;
  });
  batcher.on('rescued', ({ id, size }) => {
    sim.note(`rescued: ${id}: ${size} items`);
    if (!sim.files.trouble) sim.note('though nothing failed');
  });
}

function hearLosses(sim: SimProcess): void {
  sim.batcher.on('unsynced', ({ id, error }) => {
    sim.note(`unsynced: ${id}: ${String(error)}`);
    sim.unsynced.add(id);
    sim.ledger.unsynced++;
    if (!sim.files.trouble && !sim.files.dead && sim.sabotages === 0)
      sim.ledger.bad(`G5: batch ${id} was not synced though nothing failed`);
  });
  sim.batcher.on('lost', ({ id, items }) => {
    sim.note(`lost: ${id}: ${items} items`);
    sim.lost += items;
    sim.ledger.lost += items;
    sim.addUp();
  });
}
