import { LockedError, StorageError } from 'batch-please';
import { TestClock } from 'batch-please/testing';
import { FileBatcher } from '../../../../collectors/file-batcher.js';
import { watch } from '../../../support/collectors.js';
import type { StoredItem, Thing } from './item.js';
import { DIRECTORY } from './ledger.js';
import { Refusal } from './refusal.js';
import { CALM, SimFiles, SLOWEST } from './sim-files.js';
import type { SimProcess } from './sim-process.js';

export async function openFirst(sim: SimProcess): Promise<void> {
  for (let attempt = 0; attempt < (sim.last ? 1 : 3) && !sim.files.dead; attempt++) {
    const before = sim.files.failed('makeDirectory', 'names', 'lock');
    const opened = watch(sim.batcher.open());
    if (sim.random.chance(0.3)) add(sim);
    for (let wait = 0; wait < 100 && opened.state === 'pending' && !sim.isDead(); wait++) await sim.pass(SLOWEST);
    if (sim.isDead() || opened.state === 'resolved') return;
    if (opened.state === 'pending' && sim.files.hung > 0) return;
    if (opened.state === 'pending') {
      sim.ledger.bad('A2: open() does not settle');
      return;
    }
    sim.note(`open() failed: ${String(opened.error)}`);
    if (!(opened.error instanceof StorageError)) sim.ledger.bad(`G7: open() failed with ${String(opened.error)}`);
    if (sim.files.failed('makeDirectory', 'names', 'lock') === before) {
      sim.ledger.bad(`G9: open() refuses though the directory can be used: ${String(opened.error)}`);
    }
  }
}

type Verb = 'syncAddItem' | 'addItem' | 'deliverItem';

/** One item, as its caller adds it. */
interface Call {
  readonly record: StoredItem;
  readonly verb: Verb;
  /** `encode` throws for it. */
  readonly muted: boolean;
  readonly aborting: AbortController | undefined;
  /** Its signal was aborted before the call. */
  readonly beforehand: boolean;
}

export function add(sim: SimProcess): void {
  const { record, thing } = sim.ledger.newItem(sim.generation.durability);
  const verb = sim.random.pick<Verb>([
    'syncAddItem',
    'syncAddItem',
    'syncAddItem',
    'syncAddItem',
    'addItem',
    'deliverItem',
  ]);
  sim.note(`${verb} ${record.id} (${record.text.length} characters)`);
  const call = drawCall(sim, record, verb);
  const refuse = (error: unknown): void => {
    refused(sim, call, error);
  };
  const { batcher } = sim;
  if (verb === 'addItem') {
    batcher.addItem(thing, { onError: refuse });
    return;
  }
  sim.open.set(record.id, verb);
  const { signal } = call.aborting ?? {};
  const promise =
    verb === 'syncAddItem' ? batcher.syncAddItem(thing, { signal }) : batcher.deliverItem(thing, { signal });
  promise.then(() => {
    stored(sim, call);
  }, refuse);
}

function drawCall(sim: SimProcess, record: StoredItem, verb: Verb): Call {
  const { aborts, mute } = sim.generation;
  const { more } = sim.ledger;
  sim.mute = mute > 0 && more.chance(mute) ? record.id : 0;
  const muted = sim.mute === record.id;
  if (aborts <= 0 || !more.chance(aborts)) return { record, verb, muted, aborting: undefined, beforehand: false };
  const aborting = new AbortController();
  const abort = (): void => {
    sim.note(`item ${record.id} is aborted`);
    aborting.abort(new Refusal('aborted'));
  };
  const beforehand = verb !== 'addItem' && more.chance(0.2);
  if (beforehand) abort();
  else sim.clock.setTimer(abort, more.int(100));
  return { record, verb, muted, aborting, beforehand };
}

function stored(sim: SimProcess, { record, verb, muted, beforehand }: Call): void {
  sim.open.delete(record.id);
  if (sim.files.dead) return;
  record.said = 'stored';
  if (muted || beforehand) sim.ledger.bad(`G7: item ${record.id} is stored, and should have been refused`);
  // Until its name is looked at, the process cannot know that the file has lost it.
  if (sim.removed && record.durability !== 'item') record.excused = true;
  record.at = sim.clock.now();
  sim.note(`item ${record.id} is stored`);
  const delivered = record.delivered === sim.ledger.generation;
  if (verb !== 'deliverItem' || delivered || sim.ledger.lost > 0 || record.harmed) return;
  // A disk that has lied may have lost it while its batch waited.
  if (sim.ledger.lied && !record.proven) return;
  // A line that was written behind damage is damaged as well, and its file may move to quarantine/ after this.
  if (sim.ledger.sabotaged) record.owed = true;
  else sim.ledger.bad(`A2: deliverItem(${record.id}) resolves, and it is not delivered`);
}

const REASONS = [
  'ClearedError',
  'StorageError',
  'OverflowError',
  'ClosedError',
  'ItemError',
  'TimeoutError',
  'FlushError',
];

function refused(sim: SimProcess, { record, verb, muted, aborting, beforehand }: Call, error: unknown): void {
  sim.open.delete(record.id);
  if (sim.files.dead) return;
  // Callers that waited for room are left out, those that were let in stay in: a caller cannot know which.
  if (aborting?.signal.aborted === true && error === aborting.signal.reason) {
    if (beforehand) record.said = 'refused';
    return;
  }
  const name = (error as { name?: string }).name ?? '';
  // It may be stored, and be in dead/: this promise was about its delivery.
  const aboutDelivery = ['ClosedError', 'ClearedError', 'FlushError'].includes(name);
  // It made room for another when it had been stored: a crash may bring it back.
  const displaced = verb !== 'syncAddItem' && sim.generation.overflow === 'dropOldest';
  if ((!aboutDelivery && !displaced) || verb === 'syncAddItem') record.said = 'refused';
  // After a timeout, and at close, it is refused before what was written of it is taken back.
  record.early = name !== 'StorageError';
  record.refusedAt = sim.clock.now();
  sim.note(`item ${record.id} is refused: ${String(error)}`);
  if ((name === 'ItemError') !== muted) sim.ledger.bad(`G7: item ${record.id} is refused with ${String(error)}`);
  if (name === 'LockedError' && sim.contenders.length > 0) return;
  if (!REASONS.includes(name)) sim.ledger.bad(`G7: item ${record.id} is refused with ${String(error)}`);
  if (name === 'StorageError' && !sim.files.trouble && sim.generation.removal < 0 && sim.sabotages === 0) {
    sim.ledger.bad(`G7: item ${record.id} is refused though nothing failed: ${String(error)}`);
  }
}

/** G11: another process wants the directory. */
export function contend(sim: SimProcess): void {
  const { owners } = sim.ledger.disk;
  if (owners.get(DIRECTORY)?.() !== true || sim.ledger.disk.current.get(DIRECTORY) === undefined) return;
  if (sim.generation.removal >= 0 || sim.generation.sabotage.length > 0) return;
  const clock = new TestClock();
  const files = new SimFiles(sim.ledger.disk, CALM, sim.random, clock, sim.files.wall, undefined);
  const batchFlush = (): void => {
    if (!sim.files.dead) sim.ledger.bad('G11: two owners deliver');
    files.die();
  };
  sim.contenders.push(files);
  const other = new FileBatcher<Thing>({ batchDirectory: DIRECTORY, unref: true, clock, batchFlush }, files);
  other.open().then(
    () => {
      if (!sim.files.dead && owners.get(DIRECTORY)?.() === true) sim.ledger.bad('G11: the directory has two owners');
    },
    (error: unknown) => {
      if (!(error instanceof LockedError) && !sim.files.dead)
        sim.ledger.bad(`G11: open() of a directory in use: ${String(error)}`);
    },
  );
}
