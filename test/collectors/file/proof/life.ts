import { LockedError, StorageError, type FlushContext } from 'batch-please';
import { TestClock, type Random } from 'batch-please/testing';
import { type Durability, type FileBatch, FileBatcher } from '../../../../collectors/file-batcher.js';
import { watch } from '../../../support/collectors.js';
import { Disk } from './disk.js';
import { drawSink, type Generation, type Plan } from './plan.js';
import { AWAY, itemsIn, sabotage, type Harm, type Sabotage } from './sabotage.js';
import { CALM, type Manners, SimFiles, SLOWEST } from './sim-files.js';

export interface Thing {
  id: number;
  pad: string;
  end: number;
}

interface Record_ {
  id: number;
  text: string;
  generation: number;
  /** What was said of it: nothing yet, that it is stored, or that it never will be. */
  said: 'nothing' | 'stored' | 'refused';
  durability: Durability;
  at: number;
  /** It is known to survive power loss from now on. */
  safe: boolean;
  /** What happened to it is more than it has to survive. */
  excused: boolean;
  /** It was being added when the room was used up. */
  delivered: number;
  deliveries: number;
  batch: string | undefined;
  /** When it was refused, and whether that was said before what had been written of it was taken back. */
  refusedAt: number;
  early: boolean;
  /** It was refused, and nothing stood in the way of taking back what had been written of it. */
  firm: boolean;
  /** That it was taken back survives power loss. */
  durablyFirm: boolean;
  /** A failed sync has dropped it, perhaps; the operating system goes on showing it. */
  ghost: boolean;
  /** The `lost` events of its generation are to account for it. */
  evicted: boolean;
  /** Its file had lost its name while this process wrote to it, which is to be noticed at the latest when it is sealed. */
  risk: number;
  /** It was on the disk before that began to lie. */
  proven: boolean;
  /** Its line was damaged, or its file removed. */
  harmed: boolean;
  /** Its `deliverItem` has resolved though it was not delivered: it is to be in quarantine, with its batch delivered. */
  owed: boolean;
}

const DIRECTORY = '/data/spool';

/** How long a process is watched before it is looked whether it is still alive. */
const STEP = 100;

/** Descriptors that a process may need beside two for each lane, however many batches wait. */
const DESCRIPTORS = 24;

/** How long a sync may take altogether, on top of the interval, when nothing goes wrong. */
const SYNC_SLACK = 8 * SLOWEST;

/**
 * One life of a directory: several processes, one after another, on one disk. The oracle is what the processes were
 * reported while they lived.
 */
export class Life {
  readonly violations: string[] = [];
  readonly #disk = new Disk();
  readonly #items: Record_[] = [];
  readonly #plan: Plan;
  readonly #random: Random;
  readonly #trace: ((line: string) => void) | undefined;
  #wall = 1_700_000_000_000;
  #current = 0;
  /** The batches that were delivered, and in which process last. */
  readonly #committed = new Map<string, number>();
  /** Batches that were delivered again, by process. */
  readonly #again: Set<string>[] = [];
  /** Files that could not be removed, by process. */
  readonly #notRemoved: number[] = [];
  #lost = 0;
  /** Batches that were reported as not on the disk. */
  #unsynced = 0;
  /** Items of batches that made room for others; which ones is not reported. */
  #dropped = 0;
  #dead = 0;
  #anyRemoval = false;
  #anyEviction = false;
  #damage = false;
  #unreadable = false;
  #powerLosses = 0;
  #renameFailed = false;
  readonly #closedCleanly = new Set<number>();
  /** The highest attempt of each batch. */
  readonly #begun = new Map<string, number>();
  /** Processes that were not killed, so that they could say everything. */
  readonly #ended = new Set<number>();
  #sabotaged = false;
  #lied = false;
  /** What was on the disk may have been replaced by a copy that it only said to have. */
  #replaced = false;
  /** Lines in `quarantine/` and items that are lost, as the processes count them. */
  #accounted = 0;
  #unaccountable = false;
  ops = 0;

  constructor(
    plan: Plan,
    random: Random,
    readonly more: Random,
    readonly trials: Random,
    trace?: (line: string) => void,
  ) {
    this.#plan = plan;
    this.#random = random;
    this.#trace = trace;
    this.#disk.makeDirectory('/data');
    this.#disk.makeDirectory('');
    this.#disk.syncNewDirectory('');
    this.#disk.syncNewDirectory('/data');
    this.#disk.makeDirectory(AWAY);
    this.#disk.syncNewDirectory(AWAY);
  }

  async run(): Promise<void> {
    const { generations } = this.#plan;
    for (const [index, generation] of generations.entries()) {
      this.#current = index;
      this.#again.push(new Set());
      this.#notRemoved.push(0);
      const last = index === generations.length - 1;
      if (this.#trace !== undefined) {
        this.#trace(
          `--- process ${index}: ${JSON.stringify(generation, (_key, value: unknown) => (value === Infinity ? 'none' : value))}`,
        );
      }
      await new Process(this, generation, last, this.#trace).run();
      if (this.violations.length > 0) return;
    }
    this.#judge();
  }

  bad(text: string): void {
    this.violations.push(`process ${this.#current}: ${text}`);
    this.#trace?.(`!! ${text}`);
  }

  get disk(): Disk {
    return this.#disk;
  }

  get random(): Random {
    return this.#random;
  }

  get generation(): number {
    return this.#current;
  }

  moveWall(drift: number): number {
    this.#wall = Math.max(1, Math.floor(this.#wall + drift));
    return this.#wall;
  }

  // What the processes report

  newItem(durability: Durability): { record: Record_; thing: Thing } {
    const id = this.#items.length + 1;
    const size = this.#random.chance(0.1) ? 200 + this.#random.int(900) : this.#random.int(60);
    const alphabet = this.#random.pick(['x', 'ab ', 'é', '€', '"\\', '\t ']);
    const thing = { id, pad: alphabet.repeat(Math.ceil(size / alphabet.length)), end: id };
    const record: Record_ = {
      id,
      text: JSON.stringify(thing),
      generation: this.#current,
      said: 'nothing',
      durability,
      at: 0,
      safe: false,
      excused: false,
      delivered: -1,
      deliveries: 0,
      batch: undefined,
      refusedAt: 0,
      early: false,
      firm: false,
      durablyFirm: false,
      ghost: false,
      evicted: false,
      risk: -1,
      proven: false,
      harmed: false,
      owed: false,
    };
    this.#items.push(record);
    return { record, thing };
  }

  get lost(): number {
    return this.#lost;
  }

  seen(item: unknown, synced: boolean): Record_ | undefined {
    const record = this.#items[Number((item as Partial<Thing> | null)?.id) - 1];
    if (record === undefined || JSON.stringify(item) !== record.text) {
      this.bad(`G2: flush sees what was not added: ${JSON.stringify(item)}`);
      return undefined;
    }
    if (record.firm && record.generation < this.#current) {
      this.bad(`G7: item ${record.id} was refused by process ${record.generation}, and a later one delivers it`);
    }
    if (synced) record.safe = true; // G5: a sealed batch is synced before flush sees it, if that is possible
    return record;
  }

  commit(batch: string, records: readonly Record_[]): void {
    const before = this.#committed.get(batch);
    if (before === this.#current) this.bad(`G8: batch ${batch} is delivered twice by one process`);
    if (before !== undefined) this.#again[this.#current]?.add(batch);
    this.#committed.set(batch, this.#current);
    // Without a sync that counts a file's old name may be there beside its new one: two files are two batches.
    const doubled = (this.#lied || this.#unsynced > 0) && this.#powerLosses > 0;
    for (const record of records) {
      if (record.delivered === this.#current && !doubled) {
        this.bad(`G8: item ${record.id} is delivered twice by one process`);
      }
      if (record.delivered >= 0 && record.batch !== batch && !doubled) {
        this.bad(`G8: item ${record.id} is delivered again under another id: ${record.batch ?? ''}, then ${batch}`);
      }
      record.delivered = this.#current;
      record.deliveries++;
      record.batch = batch;
    }
  }

  /** G14: attempts are counted across processes, unless the disk has undone the names that say so. */
  attempt(batch: string, attempt: number): void {
    const begun = this.#begun.get(batch) ?? 0;
    // An extra attempt that flush() asks for has the number of the one before.
    if (attempt < begun && !this.#renameFailed && this.#powerLosses === 0) {
      this.bad(`G14: attempt ${attempt} of batch ${batch}, of which ${begun} were begun before`);
    }
    this.#begun.set(batch, Math.max(begun, attempt));
  }

  renameFailed(): void {
    this.#renameFailed = true;
  }

  addDropped(items: number): void {
    this.#dropped += items;
  }

  addUnsynced(): void {
    this.#unsynced++;
  }

  addLost(items: number): void {
    this.#lost += items;
  }

  addDead(items: number): void {
    this.#dead += items;
  }

  damaged(): void {
    this.#damage = true;
  }

  unreadable(): void {
    this.#unreadable = true;
  }

  get isDamaged(): boolean {
    return this.#damage;
  }

  /** What waits for room comes late, and what could not be read comes with the next process. */
  get isUnordered(): boolean {
    return (
      this.#unreadable ||
      this.#plan.generations.some(({ maxBytes }, index) => index <= this.#current && maxBytes < Infinity)
    );
  }

  /**
   * A refused item is never delivered, unless a fault stood in the way of taking it back, or the process ended before
   * that was done. It is taken back as durably as it would have been stored, at the latest by close.
   */
  firm(closed: boolean, at: number): void {
    for (const record of this.#items) {
      if (record.generation !== this.#current || record.said !== 'refused') continue;
      record.firm = closed || !record.early || at - record.refusedAt > SYNC_SLACK;
      record.durablyFirm = record.firm && (record.durability === 'item' || (record.durability === 'batch' && closed));
    }
  }

  notRemoved(count: number): void {
    this.#notRemoved[this.#current] = count;
  }

  ended(): void {
    this.#ended.add(this.#current);
  }

  /** The process has closed, and nothing failed meanwhile: what it had stored is synced, or was rescued. */
  closedCleanly(): void {
    this.#closedCleanly.add(this.#current);
    for (const record of this.#items) {
      if (record.generation !== this.#current || record.durability !== 'batch' || record.said !== 'stored') continue;
      record.safe = true;
      record.ghost = false;
      if (!this.#anyRemoval && this.#lost === 0) record.excused = false;
    }
  }

  /** A sync has failed: only the process whose sync it was can know that what it shows is not on the disk. */
  ghosted(): void {
    for (const record of this.#items) {
      if (record.said !== 'stored' || record.durability === 'item' || record.safe || record.delivered >= 0) continue;
      record.ghost = true;
    }
  }

  evicted(): void {
    this.#anyEviction = true;
    this.#damage = true;
    for (const record of this.#items) {
      // What a disk had only said to have written goes with the rest.
      const pretended = record.durability === 'item' && this.#lied && !record.proven;
      if (!pretended && (record.said !== 'stored' || record.durability === 'item')) continue;
      if (record.safe || record.delivered >= 0) continue;
      record.excused = true;
      // What an earlier process had written is not known: what is no line any more goes to quarantine.
      record.evicted = record.durability !== 'item' && record.generation === this.#current;
    }
  }

  get isSabotaged(): boolean {
    return this.#sabotaged;
  }

  /** Files were damaged. */
  harm({ hit, nameless }: Harm): void {
    this.#sabotaged = this.#damage = this.#replaced = true;
    for (const id of hit) {
      const record = this.#items[id - 1];
      if (record !== undefined) record.harmed = true;
    }
    for (const id of nameless) {
      const record = this.#items[id - 1];
      if (record !== undefined) record.risk = this.#current;
    }
  }

  /** The process has ended before it could see to everything: what only its descriptors led to is lost. */
  abandoned(): void {
    for (const record of this.#items) {
      if (record.delivered < 0 && (record.risk === this.#current || record.generation === this.#current)) {
        record.harmed = true;
      }
    }
  }

  account(items: number): void {
    this.#accounted += items;
  }

  /** A process that finds a damaged file of an earlier one cannot know how many items were in it. */
  leaves(): void {
    this.#unaccountable = true;
  }

  /** From now on the disk says falsely that it has synced something. */
  lie(): void {
    if (this.#lied) return;
    this.#lied = true;
    const proven = itemsIn(this.#disk.durableIn(DIRECTORY));
    for (const record of this.#items) record.proven = proven.has(record.id);
  }

  replaced(): void {
    this.#replaced = true;
  }

  removeDirectory(): void {
    this.#trace?.('*** the directory is removed');
    this.#anyRemoval = true;
    this.#disk.removeDirectory(DIRECTORY);
    for (const record of this.#items) if (record.delivered < 0) record.excused = true;
  }

  powerLoss(generation: Generation, at: number, trouble: boolean): void {
    this.#trace?.('*** power loss');
    this.#powerLosses++;
    this.#damage = true;
    this.#disk.powerLoss(this.#random);
    for (const record of this.#items) {
      record.firm &&= record.durablyFirm && !this.#lied;
      if (this.#lied && record.delivered < 0 && (!record.proven || this.#replaced)) record.excused = true;
      // A failed sync has dropped what the operating system went on showing.
      if (record.ghost && record.delivered < 0) record.excused = true;
      if (record.said !== 'stored') continue;
      if (record.durability === 'item' || record.safe) continue;
      const old =
        record.durability === 'batch' &&
        record.generation === this.#current &&
        !trouble &&
        at - record.at > generation.syncInterval + SYNC_SLACK;
      if (!old && record.delivered < 0) record.excused = true;
    }
  }

  /** Bytes in quarantine, and in copies that are being made. */
  get bytesAside(): number {
    let sum = 0;
    for (const [path, names] of this.#disk.current) {
      for (const [name, { current }] of names) {
        if (path === `${DIRECTORY}/quarantine` || name.endsWith('.tmp')) sum += current.length;
      }
    }
    return sum;
  }

  // The end

  #judge(): void {
    const { bytes, dead } = this.#leftovers();
    let missing = 0;
    let dropped = 0;
    for (const record of this.#items) {
      if (record.owed && !record.harmed && !bytes.includes(`"id":${record.id},`)) {
        this.bad(`A2: deliverItem(${record.id}) has resolved, and it was neither delivered nor put into quarantine/`);
      }
      if (record.said !== 'stored' || record.delivered >= 0) continue;
      const inQuarantine = bytes.includes(`"id":${record.id},`);
      const inDead = dead.includes(`"id":${record.id},`);
      const givesUp = this.#plan.generations.some(({ maxAttempts, retries, giveUp }) => {
        return maxAttempts < Infinity || (retries < Infinity && giveUp === 'drop');
      });
      if (inDead && !givesUp) {
        this.bad(`G14: item ${record.id} is in dead/ though nobody gave it up`);
      }
      if (inQuarantine && !this.#damage)
        this.bad(`G10: item ${record.id} is in quarantine/ though nothing was damaged`);
      if (inQuarantine || inDead) continue;
      if (record.evicted && !record.harmed && !this.#anyRemoval && this.#ended.has(record.generation)) missing++;
      if (record.excused || record.harmed) continue;
      if (dropped < this.#dropped) {
        dropped++;
        continue;
      }
      this.bad(`G1: item ${record.id} is lost (${record.durability}, of process ${record.generation})`);
    }
    if (missing > 0 && this.#anyEviction && this.#powerLosses === 0 && this.#lost + this.#unsynced === 0) {
      this.bad(`G7: ${missing} stored items are lost without a word`);
    }
    this.#judgeLosses();
    this.#judgeDuplicates();
  }

  /** Whatever is done to the files, nothing is missing that was not counted, if every process could count. */
  #judgeLosses(): void {
    if (
      !this.#sabotaged ||
      this.#unaccountable ||
      this.#unreadable ||
      this.#anyEviction ||
      this.#anyRemoval ||
      this.#powerLosses > 0 ||
      this.#dropped > 0
    )
      return;
    if (this.#ended.size < this.#plan.generations.length) return;
    const { bytes, dead } = this.#leftovers();
    const missing = this.#items.filter(({ id, said, delivered }) => {
      const kept = bytes.includes(`"id":${id},`) || dead.includes(`"id":${id},`);
      return said === 'stored' && delivered < 0 && !kept;
    });
    if (missing.length > this.#accounted) {
      const ids = missing.map(({ id }) => id).join(' ');
      this.bad(`G17: items ${ids} are missing, and ${this.#accounted} are counted as lost or quarantined`);
    }
  }

  #judgeDuplicates(): void {
    // Nothing bounds what a disk undoes that has lied.
    if (this.#lied && this.#powerLosses > 0) return;
    // A crash may bring back a batch for each lane; what could not be removed comes back as well.
    let allowed = 0;
    let again = 0;
    for (const [index, { lanes, durability }] of this.#plan.generations.entries()) {
      again += this.#again[index]?.size ?? 0;
      if (again > allowed) {
        const before = this.#plan.generations[index - 1]?.ending ?? 'nothing';
        this.bad(
          `G8: after ${before}, process ${index} delivers batches again: ${again} by now, ${allowed} are allowed`,
        );
        return;
      }
      // Without syncs nothing bounds what power loss undoes.
      if (durability === 'none' && this.#powerLosses > 0) return;
      if (!this.#closedCleanly.has(index)) allowed += lanes;
      allowed += this.#notRemoved[index] ?? 0;
    }
  }

  #leftovers(): { bytes: string; dead: string } {
    // Also in directories that were moved away.
    const text = (folder: string): string => {
      let sum = '';
      for (const [path, names] of this.#disk.current) {
        if (!path.endsWith(folder)) continue;
        for (const { current } of names.values()) sum += Buffer.from(current).toString();
      }
      return sum;
    };
    for (const name of this.#disk.current.get(DIRECTORY)?.keys() ?? []) {
      this.bad(`A6: ${name} is left behind`);
    }
    return { bytes: text('/quarantine'), dead: text('/dead') };
  }
}

class Refusal extends Error {}

/** One process: its batcher, its sink, and those who add. */
class Process {
  readonly #life: Life;
  readonly #generation: Generation;
  readonly #last: boolean;
  readonly #clock = new TestClock();
  readonly #files: SimFiles;
  readonly #batcher: FileBatcher<Thing>;
  readonly #random: Random;
  readonly #trace: ((line: string) => void) | undefined;
  readonly #open = new Map<number, string>();
  readonly #order: number[] = [];
  readonly #contenders: SimFiles[] = [];
  /** Bytes on the disk at its beginning. */
  readonly #found: number;
  readonly #foundAside: number;
  #hanging = 0;
  /** The item that `encode` throws for. */
  #mute = 0;
  #removed = false;
  #sabotages = 0;
  /** It knows what earlier processes have left. */
  #recovered = false;
  #lost = 0;
  readonly #unsynced = new Set<string>();
  #closed = false;

  constructor(life: Life, generation: Generation, last: boolean, trace: ((line: string) => void) | undefined) {
    this.#life = life;
    this.#generation = generation;
    this.#last = last;
    this.#random = life.random;
    this.#trace = trace;
    const { disk, random } = life;
    const wall = life.moveWall(generation.drift);
    // A last line that is whole gets the newline that it lacks.
    this.#found = disk.bytesIn(DIRECTORY) + disk.unfinishedIn(DIRECTORY);
    this.#foundAside = life.bytesAside;
    const files: Manners = generation.files;
    this.#files = new SimFiles(
      disk,
      files,
      random,
      this.#clock,
      wall,
      trace === undefined
        ? undefined
        : (text) => {
            this.#note(text);
          },
    );
    this.#files.onFailedSync = (evicted) => {
      if (evicted) this.#life.evicted();
      else this.#life.ghosted();
    };
    this.#files.onFirstLie = () => {
      this.#life.lie();
    };
    const some = (value: number): number | undefined => (value === Infinity ? undefined : value);
    this.#batcher = new FileBatcher<Thing>(
      {
        batchDirectory: DIRECTORY,
        durability: generation.durability,
        integrity: generation.integrity,
        syncInterval: generation.syncInterval,
        maxBatchSize: some(generation.maxBatchSize),
        maxTimeSinceFirstItem: some(generation.age),
        flushInterval: some(generation.interval),
        flushConcurrency: generation.lanes,
        flushTimeout: some(generation.flushTimeout),
        maxBytes: some(generation.maxBytes),
        overflow: generation.overflow,
        maxAttempts: some(generation.maxAttempts),
        giveUp: generation.giveUp,
        encode: (thing) => {
          if (thing.id === this.#mute) throw new Refusal('it has no text');
          return JSON.stringify(thing);
        },
        retry: { attempts: generation.retries, minDelay: generation.minDelay, maxDelay: 100, jitter: false },
        unref: true,
        clock: this.#clock,
        batchFlush: (batch, context) => this.#sink(batch, context),
      },
      this.#files,
    );
    this.#listen();
    this.#hearLosses();
  }

  async run(): Promise<void> {
    const { steps, removal, ending } = this.#generation;
    if (this.#random.chance(0.7)) await this.#openFirst();
    for (let step = 0; step < steps && !this.#files.dead && this.#sound; step++) {
      if (step === removal) {
        this.#removed = true;
        this.#life.removeDirectory();
      }
      for (const [at, kind] of this.#generation.sabotage) if (at === step) this.#sabotage(kind);
      this.#step();
      this.#addUp();
      if (this.#random.chance(0.8))
        await this.#pass(this.#random.chance(0.3) ? 0 : this.#random.int(this.#random.pick([10, 100, 400, 2500])));
    }
    if (!this.#sound) return;
    if (this.#last) await this.#deliverAll();
    else if (!this.#files.dead && (ending === 'close' || ending === 'closeThenPower')) await this.#close();
    this.#files.die();
    for (const files of this.#contenders) files.die();
    // What the dead process still does must not be seen anywhere.
    await this.#clock.advance(0);
    if (this.#sabotages > 0 && (!this.#closed || this.#files.trouble)) this.#life.abandoned();
    if (this.#files.mostInUse > DESCRIPTORS + 2 * this.#generation.lanes) {
      this.#life.bad(`G16: ${this.#files.mostInUse} descriptors at one time`);
    }
    this.#life.moveWall(this.#files.wall - this.#life.moveWall(0));
    if (this.#files.failedOnly('write')) this.#life.firm(this.#closed, this.#files.diedAt);
    this.#life.notRemoved(this.#files.failed('remove'));
    this.#life.ops += this.#files.ops;
    if (ending === 'power' || ending === 'closeThenPower') {
      this.#life.powerLoss(this.#generation, this.#files.diedAt, this.#files.trouble);
    } else this.#note(`*** the end: ${this.#closed ? 'closed' : 'killed'}`);
    this.#life.disk.owners.clear();
  }

  #isDead(): boolean {
    return this.#files.dead;
  }

  get #sound(): boolean {
    return this.#life.violations.length === 0;
  }

  #note(text: string): void {
    this.#trace?.(`${this.#clock.now().toString().padStart(6)}  ${text}`);
  }

  async #pass(ms: number): Promise<void> {
    await this.#clock.advance(Math.min(ms, STEP));
    // A dead process does nothing any more.
    for (let rest = ms - STEP; rest > 0 && !this.#isDead(); rest -= STEP) {
      await this.#clock.advance(Math.min(rest, STEP));
      if (!this.#isDead()) this.#addUp();
    }
    if (!this.#isDead()) this.#check();
  }

  #step(): void {
    const dice = this.#random.int(12);
    if (dice < 7) for (let count = 1 + this.#random.int(5); count > 0; count--) this.#add();
    else if (dice < 9) {
      this.#note('flush()');
      void this.#batcher.flush().catch(() => undefined);
    } else if (dice < 10) this.#contend();
  }

  #sabotage(kind: Sabotage): void {
    const harm = sabotage(
      this.#life.disk,
      DIRECTORY,
      kind,
      this.#life.trials,
      ({ number }) => (this.#files.writing.get(number) ?? 0) > 0 && this.#files.created.has(number),
      (text) => {
        this.#note(text);
      },
    );
    if (harm === undefined) return;
    this.#sabotages++;
    if (!this.#recovered) this.#life.leaves();
    this.#note(`  hit: ${harm.hit.join(' ')}; nameless: ${harm.nameless.join(' ')}`);
    this.#life.harm(harm);
  }

  #listen(): void {
    const batcher = this.#batcher;
    batcher.on('unowned', () => undefined);
    if (this.#generation.files.lies !== undefined) {
      // A copy that was made meanwhile may be there in its place after a power loss, and be nothing.
      const replaced = (): void => {
        this.#life.replaced();
      };
      this.#files.onCopy = replaced;
      for (const event of ['quarantined', 'rescued'] as const) batcher.on(event, replaced);
    }
    batcher.on('refused', () => undefined);
    batcher.on('failed', ({ error, hook }) => {
      this.#note(`failed: ${hook}: ${String(error)}`);
      // Whatever a hook of the collector's own says must be an error of ours.
      if (!(error instanceof Refusal) && !(error instanceof Error)) this.#life.bad('G7: a failure without an error');
    });
    batcher.on('held', () => undefined);
    batcher.on('dropped', ({ reason, size }) => {
      this.#note(`dropped: ${size} (${reason})`);
      if (reason === 'overflow' && this.#generation.overflow === 'dropOldest') this.#life.addDropped(size);
    });
    batcher.on('closed', () => undefined);
    batcher.on('recovered', (report) => {
      this.#note(`recovered: ${JSON.stringify(report)}`);
      this.#recovered = true;
      if (report.unreadableFiles > 0) this.#life.unreadable();
      if (report.badLines > 0 && !this.#life.isDamaged) {
        this.#life.bad(`G2: ${report.badLines} bad lines though nothing was damaged`);
      }
    });
    batcher.on('unreadable', ({ filename, error }) => {
      this.#note(`unreadable: ${filename}: ${String(error)}`);
      this.#life.unreadable();
      if (!this.#files.trouble && !this.#files.dead && !this.#removed && this.#sabotages === 0) {
        this.#life.bad(`G9: ${filename} cannot be recovered though nothing failed: ${String(error)}`);
      }
    });
    // An event without a listener becomes a warning, and must harm nothing.
    if (!this.#last && this.#random.chance(0.3)) return;
    batcher.on('quarantined', ({ id, lines }) => {
      this.#note(`quarantined: ${id}: ${lines} lines`);
    });
    batcher.on('dead', ({ id, size }) => {
      this.#note(`dead: ${id}`);
      this.#life.addDead(size);
    });
    batcher.on('rescued', ({ id, size }) => {
      this.#note(`rescued: ${id}: ${size} items`);
      if (!this.#files.trouble) this.#note('though nothing failed');
    });
  }

  #hearLosses(): void {
    this.#batcher.on('unsynced', ({ id, error }) => {
      this.#note(`unsynced: ${id}: ${String(error)}`);
      this.#unsynced.add(id);
      this.#life.addUnsynced();
      if (!this.#files.trouble && !this.#files.dead && this.#sabotages === 0)
        this.#life.bad(`G5: batch ${id} was not synced though nothing failed`);
    });
    this.#batcher.on('lost', ({ id, items }) => {
      this.#note(`lost: ${id}: ${items} items`);
      this.#lost += items;
      this.#life.addLost(items);
      this.#addUp();
    });
  }

  // What is done to the batcher

  async #openFirst(): Promise<void> {
    for (let attempt = 0; attempt < (this.#last ? 1 : 3) && !this.#files.dead; attempt++) {
      const before = this.#files.failed('makeDirectory', 'names', 'lock');
      const opened = watch(this.#batcher.open());
      if (this.#random.chance(0.3)) this.#add();
      for (let wait = 0; wait < 100 && opened.state === 'pending' && !this.#isDead(); wait++) await this.#pass(SLOWEST);
      if (this.#isDead() || opened.state === 'resolved') return;
      if (opened.state === 'pending' && this.#files.hung > 0) return;
      if (opened.state === 'pending') {
        this.#life.bad('A2: open() does not settle');
        return;
      }
      this.#note(`open() failed: ${String(opened.error)}`);
      if (!(opened.error instanceof StorageError)) this.#life.bad(`G7: open() failed with ${String(opened.error)}`);
      if (this.#files.failed('makeDirectory', 'names', 'lock') === before) {
        this.#life.bad(`G9: open() refuses though the directory can be used: ${String(opened.error)}`);
      }
    }
  }

  #add(): void {
    const { durability } = this.#generation;
    const { record, thing } = this.#life.newItem(durability);
    const verb = this.#random.pick([
      'syncAddItem',
      'syncAddItem',
      'syncAddItem',
      'syncAddItem',
      'addItem',
      'deliverItem',
    ]);
    this.#note(`${verb} ${record.id} (${record.text.length} characters)`);
    const { aborts, mute } = this.#generation;
    const { more } = this.#life;
    this.#mute = mute > 0 && more.chance(mute) ? record.id : 0;
    const muted = this.#mute === record.id;
    const aborting = aborts > 0 && more.chance(aborts) ? new AbortController() : undefined;
    let beforehand = false;
    if (aborting !== undefined) {
      const abort = (): void => {
        this.#note(`item ${record.id} is aborted`);
        aborting.abort(new Refusal('aborted'));
      };
      beforehand = verb !== 'addItem' && more.chance(0.2);
      if (beforehand) abort();
      else this.#clock.setTimer(abort, more.int(100));
    }
    const refuse = (error: unknown): void => {
      this.#open.delete(record.id);
      if (this.#files.dead) return;
      // Callers that waited for room are left out, those that were let in stay in: a caller cannot know which.
      if (aborting?.signal.aborted === true && error === aborting.signal.reason) {
        if (beforehand) record.said = 'refused';
        return;
      }
      // It may be stored, and be in dead/: this promise was about its delivery.
      const aboutDelivery = ['ClosedError', 'FlushError'].includes((error as Error).name);
      // It made room for another when it had been stored: a crash may bring it back.
      const displaced = verb !== 'syncAddItem' && this.#generation.overflow === 'dropOldest';
      if ((!aboutDelivery && !displaced) || verb === 'syncAddItem') record.said = 'refused';
      // After a timeout, and at close, it is refused before what was written of it is taken back.
      record.early = (error as Error).name !== 'StorageError';
      record.refusedAt = this.#clock.now();
      this.#note(`item ${record.id} is refused: ${String(error)}`);
      const name = (error as { name?: string }).name ?? '';
      if ((name === 'ItemError') !== muted) this.#life.bad(`G7: item ${record.id} is refused with ${String(error)}`);
      if (name === 'LockedError' && this.#contenders.length > 0) return;
      if (!['StorageError', 'OverflowError', 'ClosedError', 'ItemError', 'TimeoutError', 'FlushError'].includes(name)) {
        this.#life.bad(`G7: item ${record.id} is refused with ${String(error)}`);
      }
      if (name === 'StorageError' && !this.#files.trouble && this.#generation.removal < 0 && this.#sabotages === 0) {
        this.#life.bad(`G7: item ${record.id} is refused though nothing failed: ${String(error)}`);
      }
    };
    const { batcher } = { batcher: this.#batcher };
    if (verb === 'addItem') {
      batcher.addItem(thing, { onError: refuse });
      return;
    }
    this.#open.set(record.id, verb);
    const { signal } = aborting ?? {};
    const promise =
      verb === 'syncAddItem' ? batcher.syncAddItem(thing, { signal }) : batcher.deliverItem(thing, { signal });
    promise.then(() => {
      this.#open.delete(record.id);
      if (this.#files.dead) return;
      record.said = 'stored';
      if (muted || beforehand) this.#life.bad(`G7: item ${record.id} is stored, and should have been refused`);
      // Until its name is looked at, the process cannot know that the file has lost it.
      if (this.#removed && durability !== 'item') record.excused = true;
      record.at = this.#clock.now();
      this.#note(`item ${record.id} is stored`);
      if (
        verb === 'deliverItem' &&
        record.delivered !== this.#life.generation &&
        this.#life.lost === 0 &&
        !record.harmed
      ) {
        // A line that was written behind damage is damaged as well, and its file may move to quarantine/ after this.
        if (this.#life.isSabotaged) record.owed = true;
        else this.#life.bad(`A2: deliverItem(${record.id}) resolves, and it is not delivered`);
      }
    }, refuse);
  }

  /** G11: another process wants the directory. */
  #contend(): void {
    const { owners } = this.#life.disk;
    if (owners.get(DIRECTORY)?.() !== true || this.#life.disk.current.get(DIRECTORY) === undefined) return;
    if (this.#generation.removal >= 0 || this.#generation.sabotage.length > 0) return;
    const clock = new TestClock();
    const files = new SimFiles(this.#life.disk, CALM, this.#random, clock, this.#files.wall, undefined);
    const batchFlush = (): void => {
      if (!this.#files.dead) this.#life.bad('G11: two owners deliver');
      files.die();
    };
    this.#contenders.push(files);
    const other = new FileBatcher<Thing>({ batchDirectory: DIRECTORY, unref: true, clock, batchFlush }, files);
    other.open().then(
      () => {
        if (!this.#files.dead && owners.get(DIRECTORY)?.() === true)
          this.#life.bad('G11: the directory has two owners');
      },
      (error: unknown) => {
        if (!(error instanceof LockedError) && !this.#files.dead)
          this.#life.bad(`G11: open() of a directory in use: ${String(error)}`);
      },
    );
  }

  async #sink(batch: FileBatch<Thing>, context: FlushContext): Promise<void> {
    this.#addUp();
    const manner = drawSink(this.#random, this.#generation.sink);
    this.#note(`flush ${context.id} (${batch.size}, ${context.reason}, attempt ${context.attempt}): ${manner}`);
    if (this.#files.failed('rename') > 0) this.#life.renameFailed();
    if (!this.#files.dead) this.#life.attempt(context.id, context.attempt);
    if (context.attempt > this.#generation.maxAttempts) this.#life.bad(`G14: attempt ${context.attempt} of a batch`);
    if (batch.id !== context.id) this.#life.bad(`G8: batch ${batch.id} has the context of ${context.id}`);
    if (manner === 'refuse') throw new Refusal('refused at once');
    const records: Record_[] = [];
    const half = Math.ceil(batch.size / 2);
    for await (const item of batch.items()) {
      const synced = this.#generation.durability !== 'none' && !this.#unsynced.has(context.id);
      const record = this.#life.seen(item, synced);
      if (record === undefined) return;
      if (record.said === 'refused' && record.generation === this.#life.generation) {
        this.#life.bad(`G7: item ${record.id} was refused, and flush sees it`);
      }
      records.push(record);
      if (manner === 'refuseHalfway' && records.length === half) throw new Refusal('refused halfway');
    }
    if (manner === 'refuseAfter') throw new Refusal('refused after all');
    if (manner === 'hang') {
      this.#hanging++;
      await new Promise(() => undefined);
    }
    if (manner === 'slow') {
      await new Promise<void>((resolve) => {
        this.#clock.setTimer(resolve, 1 + this.#random.int(80));
      });
    }
    if (this.#files.dead) throw new Refusal('it is dead');
    if (context.signal.aborted) throw new Refusal('too late');
    if (records.length !== batch.size) {
      this.#life.bad(`G1: batch ${batch.id} says ${batch.size} items, and has ${records.length}`);
    }
    this.#note(`delivered ${context.id}: ${records.map(({ id }) => id).join(' ')}`);
    this.#life.commit(context.id, records);
    this.#checkOrder(records);
  }

  /** G13. */
  #checkOrder(records: readonly Record_[]): void {
    const { lanes } = this.#generation;
    for (const { id, deliveries } of records) {
      if (deliveries > 1) continue; // power loss had undone its removal
      const previous = this.#order.at(-1);
      if (previous !== undefined && previous > id && lanes === 1 && !this.#life.isUnordered) {
        this.#life.bad(`G13: item ${id} comes after item ${previous}`);
      }
      this.#order.push(id);
    }
  }

  // What it says of itself

  /** A1. */
  #addUp(): void {
    if (this.#files.dead) return;
    const { spool } = this.#batcher.state;
    const { added, delivered, refused, dropped, quarantined, dead, lost, pending, bytes } = spool;
    if (added !== delivered + refused + dropped + quarantined + dead + lost + pending) {
      this.#life.bad(`A1: the counters do not add up: ${JSON.stringify({ ...spool })}`);
    }
    if (lost > this.#lost) this.#life.bad(`G17: ${lost} items are counted as lost, and ${this.#lost} were told`);
    if (Math.min(added, delivered, refused, dropped, quarantined, dead, lost, pending, bytes) < 0) {
      this.#life.bad(`A1: a counter is below zero: ${JSON.stringify({ ...spool })}`);
    }
  }

  #check(): void {
    this.#addUp();
    const { maxBytes } = this.#generation;
    // What was there before is there; damaged lines are copied before they go.
    const copied = Math.max(0, this.#life.bytesAside - this.#foundAside);
    const allowed = Math.max(maxBytes, this.#found) + copied;
    if (!this.#files.trouble && !this.#life.isSabotaged && this.#life.disk.bytesIn(DIRECTORY) > allowed) {
      this.#life.bad(`G12: ${this.#life.disk.bytesIn(DIRECTORY)} bytes on disk, ${allowed} are allowed`);
    }
  }

  async #deliverAll(): Promise<void> {
    void this.#batcher.open().catch(() => undefined);
    for (let wait = 0; wait < 10; wait++) await this.#pass(SLOWEST);
    const flushed = watch(this.#batcher.flush());
    for (let wait = 0; wait < 100 && flushed.state === 'pending'; wait++) await this.#pass(50);
    if (flushed.state === 'pending') this.#life.bad('A2: flush() does not settle at the end');
    else if (flushed.state === 'rejected' && this.#generation.maxAttempts === Infinity) {
      this.#life.bad(`G1: flush() fails at the end: ${String(flushed.error)}`);
    }
    const { pending } = this.#batcher.state;
    if (pending !== 0) this.#life.bad(`G1: ${pending} items are pending after flush()`);
    for (const [id, verb] of this.#open) this.#life.bad(`A2: ${verb}(${id}) does not settle`);
    await this.#close();
    if (this.#files.inUse !== 0) this.#life.bad(`A6: ${this.#files.inUse} descriptors are open after close()`);
    if (this.#clock.pendingTimers > 0)
      this.#life.bad(`A6: ${this.#clock.pendingTimers} timers are armed after close()`);
  }

  async #close(): Promise<void> {
    const timeout = this.#random.pick([100, 1000]);
    const flush = this.#last || this.#random.chance(0.7);
    this.#note(`close({ timeout: ${timeout}, flush: ${flush} })`);
    const failed = this.#files.failed();
    const closed = watch(this.#batcher.close({ timeout, flush }));
    for (let wait = 0; wait < 100 && closed.state === 'pending' && !this.#files.dead; wait++) await this.#pass(50);
    if (this.#isDead() || !this.#sound) return;
    if (closed.state === 'pending') {
      this.#life.bad('A8: close() does not settle');
      return;
    }
    this.#note(`closed: ${closed.state} ${String(closed.error)}`);
    this.#closed = true;
    this.#life.ended();
    for (const [id, verb] of this.#open) this.#life.bad(`A2: ${verb}(${id}) does not settle by close()`);
    if (this.#life.disk.owners.get(DIRECTORY)?.() === true)
      this.#life.bad('G11: the directory is locked after close()');
    const { quarantined, lost, dead, pending } = this.#batcher.state.spool;
    this.#life.account(quarantined + lost + dead); // a file in dead/ is as it was
    if (this.#sabotages > 0 && pending > 0) this.#life.leaves();
    if (this.#files.failed() === failed && this.#files.hung === 0) this.#life.closedCleanly();
    const { hang } = this.#generation.files;
    if (this.#files.hung > 0 && hang !== undefined && hang.ms < Infinity) {
      await this.#clock.advance(hang.ms);
      if (!this.#isDead() && this.#life.disk.owners.get(DIRECTORY)?.() === true) {
        this.#life.bad('G11: the directory is locked after close(), by a call that had hung');
      }
    }
    const unused = this.#files.inUse - this.#files.reading;
    if (!this.#files.trouble && unused > 0 && this.#hanging === 0 && closed.state === 'resolved') {
      this.#life.bad(`A6: ${unused} descriptors are open after close()`);
    }
  }
}
