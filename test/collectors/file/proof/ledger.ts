import type { Random } from 'batch-please/testing';
import type { Durability } from '../../../../collectors/file-batcher.js';
import { Disk } from './disk.js';
import { newThing, storedItem, type StoredItem, type Thing } from './item.js';
import type { Generation, Plan } from './plan.js';
import { AWAY, itemsIn, type Harm, type Sabotage } from './sabotage.js';
import { SLOWEST } from './sim-files.js';

/** Where the batchers of a life work. */
export const DIRECTORY = '/data/spool';

/** How long a sync may take altogether, on top of the interval, when nothing goes wrong. */
const SYNC_SLACK = 8 * SLOWEST;

/** What is known of the items and of the disk: what the processes of a life were reported, and what was done to them. */
export class Ledger {
  readonly violations: string[] = [];
  readonly disk = new Disk();
  readonly items: StoredItem[] = [];
  wall = 1_700_000_000_000;
  generation = 0;
  /** The batches that were delivered, and in which process last. */
  readonly committed = new Map<string, number>();
  /** Batches that were delivered again, by process. */
  readonly again: Set<string>[] = [];
  /** Files that could not be removed, by process. */
  readonly notRemoved: number[] = [];
  /** Processes that went on without a sync of the directory, since several had failed in a row. */
  readonly unsyncedNames = new Set<number>();
  lost = 0;
  /** Batches that were reported as not on the disk. */
  unsynced = 0;
  /** Items of batches that made room for others; which ones is not reported. */
  dropped = 0;
  dead = 0;
  /** Items of batches that were given up: moved to `dead/`, or about to be when the process ended. */
  givenUp = 0;
  anyRemoval = false;
  anyEviction = false;
  damage = false;
  unreadable = false;
  powerLosses = 0;
  renameFailed = false;
  readonly closedCleanly = new Set<number>();
  /** The highest attempt of each batch. */
  readonly begun = new Map<string, number>();
  /** Processes that were not killed, so that they could say everything. */
  readonly ended = new Set<number>();
  sabotaged = false;
  lied = false;
  /** Newlines may be missing from a file whose batch is split: which lines its parts get is not known. */
  hidden = false;
  /** What was on the disk may have been replaced by a copy that it only said to have. */
  replaced = false;
  /** Lines in `quarantine/` and items that are lost, as the processes count them. */
  accounted = 0;
  /** A process has found a damaged file of an earlier one: it cannot know how many items were in it. */
  unaccountable = false;
  ops = 0;

  constructor(
    readonly plan: Plan,
    readonly random: Random,
    readonly more: Random,
    readonly trials: Random,
    readonly parts: Random,
    readonly fates: Random,
    readonly verbs: Random,
    readonly trace?: (line: string) => void,
  ) {
    this.disk.makeDirectory('/data');
    this.disk.makeDirectory('');
    this.disk.syncNewDirectory('');
    this.disk.syncNewDirectory('/data');
    this.disk.makeDirectory(AWAY);
    this.disk.syncNewDirectory(AWAY);
  }

  bad(text: string): void {
    this.violations.push(`process ${this.generation}: ${text}`);
    this.trace?.(`!! ${text}`);
  }

  moveWall(drift: number): number {
    this.wall = Math.max(1, Math.floor(this.wall + drift));
    return this.wall;
  }

  // What the processes report

  newItem(durability: Durability): { record: StoredItem; thing: Thing } {
    const thing = newThing(this.items.length + 1, this.random);
    const record = storedItem(thing, this.generation, durability);
    this.items.push(record);
    return { record, thing };
  }

  seen(item: unknown, synced: boolean): StoredItem | undefined {
    const record = this.items[Number((item as Partial<Thing> | null)?.id) - 1];
    if (record === undefined || JSON.stringify(item) !== record.text) {
      // Without checksums what power loss has left of a line may by chance be a line.
      if (this.powerLosses > 0 && this.plan.generations.some(({ integrity }) => integrity === 'none')) return undefined;
      this.bad(`G2: flush sees what was not added: ${JSON.stringify(item)}`);
      return undefined;
    }
    if (record.firm && record.generation < this.generation) {
      this.bad(`G7: item ${record.id} was refused by process ${record.generation}, and a later one delivers it`);
    }
    if (synced) record.safe = true; // G5: a sealed batch is synced before flush sees it, if that is possible
    return record;
  }

  commit(batch: string, records: readonly StoredItem[]): void {
    const before = this.committed.get(batch);
    if (before === this.generation) this.bad(`G8: batch ${batch} is delivered twice by one process`);
    if (before !== undefined) this.again[this.generation]?.add(batch);
    this.committed.set(batch, this.generation);
    // Without a sync that counts a file's old name may be there beside its new one: two files are two batches.
    const kept = this.sabotaged || this.powerLosses > 0 || this.notRemoved.some((files) => files > 0);
    const crashed = kept || this.closedCleanly.size < this.generation;
    const moved = this.sabotaged && batch.includes('/');
    const doubled = (this.lied || this.unsynced > 0) && this.powerLosses > 0;
    for (const record of records) {
      const twice = doubled || moved || ((record.split || this.#isHalved) && crashed);
      if (record.cleared === this.generation && !twice) {
        this.bad(`G8: item ${record.id} was handed back by clear(), and is delivered`);
      }
      if (record.delivered === this.generation && !twice) {
        this.bad(`G8: item ${record.id} is delivered twice by one process`);
      }
      if (record.delivered >= 0 && record.batch !== batch && !twice) {
        this.bad(`G8: item ${record.id} is delivered again under another id: ${record.batch ?? ''}, then ${batch}`);
      }
      record.delivered = this.generation;
      record.deliveries++;
      record.batch = batch;
    }
  }

  /** G14: attempts are counted across processes, unless the disk has undone the names that say so. */
  attempt(batch: string, attempt: number): void {
    const begun = this.begun.get(batch) ?? 0;
    // An extra attempt that flush() asks for has the number of the one before.
    // One that found the batch too large used up none.
    if (attempt < begun && !this.renameFailed && this.powerLosses === 0 && !this.#isHalved) {
      this.bad(`G14: attempt ${attempt} of batch ${batch}, of which ${begun} were begun before`);
    }
    this.begun.set(batch, Math.max(begun, attempt));
  }

  /** Batches may have been halved. */
  get #isHalved(): boolean {
    return this.plan.generations.some((generation, index) => isSplit(generation) && index <= this.generation);
  }

  /** What waits for room comes late, and what could not be read comes with the next process. */
  get isUnordered(): boolean {
    return (
      this.unreadable ||
      this.plan.generations.some(({ maxBytes }, index) => index <= this.generation && maxBytes < Infinity)
    );
  }

  /**
   * A refused item is never delivered, unless a fault stood in the way of taking it back, or the process ended before
   * that was done. It is taken back as durably as it would have been stored, at the latest by close.
   */
  firm(closed: boolean, at: number): void {
    for (const record of this.items) {
      if (record.generation !== this.generation || record.said !== 'refused') continue;
      record.firm = closed || !record.early || at - record.refusedAt > SYNC_SLACK;
      record.durablyFirm = record.firm && (record.durability === 'item' || (record.durability === 'batch' && closed));
    }
  }

  /** The process has closed, and nothing failed meanwhile: what it had stored is synced, or was rescued. */
  closeCleanly(): void {
    this.closedCleanly.add(this.generation);
    for (const record of this.items) {
      if (record.generation !== this.generation || record.durability !== 'batch' || record.said !== 'stored') continue;
      record.safe = true;
      record.ghost = false;
      if (!this.anyRemoval && this.lost === 0 && !this.lied) record.excused = false;
    }
  }

  /** A sync has failed: only the process whose sync it was can know that what it shows is not on the disk. */
  ghosted(): void {
    for (const record of this.items) {
      if (record.said !== 'stored' || record.durability === 'item' || record.safe || record.delivered >= 0) continue;
      record.ghost = true;
    }
  }

  evicted(): void {
    this.anyEviction = true;
    this.damage = true;
    for (const record of this.items) {
      // What a disk had only said to have written goes with the rest.
      const pretended = record.durability === 'item' && this.lied && !record.proven;
      if (!pretended && (record.said !== 'stored' || record.durability === 'item')) continue;
      if (record.safe || record.delivered >= 0) continue;
      record.excused = true;
      // What an earlier process had written is not known: what is no line any more goes to quarantine.
      record.evicted = record.durability !== 'item' && record.generation === this.generation;
    }
  }

  /** Files were damaged. */
  harm({ hit, nameless }: Harm, kind: Sabotage): void {
    this.sabotaged = this.damage = this.replaced = true;
    const hits = this.items.filter(({ id }) => hit.includes(id));
    for (const record of hits) record.harmed = true;
    // A hole hides how many lines it hit: parts that are being written may get their neighbours.
    const torn = hits.some(({ split }) => split);
    for (const record of torn ? this.items : []) record.harmed ||= record.split;
    const splits = this.plan.generations.some(({ partly }) => partly > 0) || this.plan.generations.some(isSplit);
    this.hidden ||= splits && (kind === 'hole' || kind === 'shorten');
    for (const id of nameless) {
      const record = this.items[id - 1];
      if (record !== undefined) record.risk = this.generation;
    }
  }

  /** The process has ended before it could see to everything: what only its descriptors led to is lost. */
  abandoned(): void {
    for (const record of this.items) {
      if (record.delivered < 0 && (record.risk === this.generation || record.generation === this.generation)) {
        record.harmed = true;
      }
    }
  }

  /** From now on the disk says falsely that it has synced something. */
  lie(): void {
    if (this.lied) return;
    this.lied = true;
    const proven = itemsIn(this.disk.durableIn(DIRECTORY));
    for (const record of this.items) record.proven = proven.has(record.id);
  }

  removeDirectory(): void {
    this.trace?.('*** the directory is removed');
    this.anyRemoval = true;
    this.disk.removeDirectory(DIRECTORY);
    for (const record of this.items) if (record.delivered < 0) record.excused = true;
  }

  powerLoss(generation: Generation, at: number, trouble: boolean): void {
    this.trace?.('*** power loss');
    this.powerLosses++;
    this.damage = true;
    this.disk.powerLoss(this.random);
    for (const record of this.items) {
      record.firm &&= record.durablyFirm && !this.lied;
      if (this.lied && record.delivered < 0 && (!record.proven || this.replaced)) record.excused = true;
      // A failed sync has dropped what the operating system went on showing.
      if (record.ghost && record.delivered < 0) record.excused = true;
      if (record.said !== 'stored') continue;
      if (record.durability === 'item' || record.safe) continue;
      const old =
        record.durability === 'batch' &&
        record.generation === this.generation &&
        !trouble &&
        at - record.at > generation.syncInterval + SYNC_SLACK;
      if (!old && record.delivered < 0) record.excused = true;
    }
  }

  /** Bytes in quarantine, and in copies that are being made; those of an earlier process are removed at the start. */
  bytesAside(copies: boolean): number {
    let sum = 0;
    for (const [path, names] of this.disk.current) {
      for (const [name, { current }] of names) {
        if (path === `${DIRECTORY}/quarantine` || (copies && name.endsWith('.tmp'))) sum += current.length;
      }
    }
    return sum;
  }
}

function isSplit({ giveUp, tooLarge }: Generation): boolean {
  return giveUp === 'split' || tooLarge > 0;
}
