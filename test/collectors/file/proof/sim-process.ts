import { TestClock, type Random } from 'batch-please/testing';
import { FileBatcher } from '../../../../collectors/file-batcher.js';
import { watch } from '../../../support/collectors.js';
import type { Thing } from './item.js';
import { DIRECTORY, type Ledger } from './ledger.js';
import type { Generation } from './plan.js';
import { Refusal } from './refusal.js';
import { sabotage, type Sabotage } from './sabotage.js';
import { add, contend, openFirst } from './sim-callers.js';
import { type Manners, SimFiles, SLOWEST } from './sim-files.js';
import { listen } from './sim-listeners.js';
import { isFinal, post, sink } from './sim-sink.js';
import { hook, use } from './sim-verbs.js';

/** How long a process is watched before it is looked whether it is still alive. */
const STEP = 100;

/** Descriptors that a process may need beside two for each lane, however many batches wait. */
const DESCRIPTORS = 24;

/** After so many syncs of the directory that fail in a row, batches are delivered without. */
const PATIENCE = 3;

/** One process: its batcher, its sink, and those who add. */
export class SimProcess {
  readonly clock = new TestClock();
  readonly files: SimFiles;
  readonly batcher: FileBatcher<Thing>;
  readonly random: Random;
  readonly open = new Map<number, string>();
  readonly order: number[] = [];
  readonly contenders: SimFiles[] = [];
  /** Bytes on the disk at its beginning. */
  readonly found: number;
  readonly foundAside: number;
  hanging = 0;
  /** The item that `encode` throws for. */
  mute = 0;
  /** Batches that have failed in part. */
  splits = 0;
  removed = false;
  sabotages = 0;
  /** It knows what earlier processes have left. */
  recovered = false;
  lost = 0;
  /** Items dropped for room. */
  displaced = 0;
  readonly unsynced = new Set<string>();
  closed = false;

  constructor(
    readonly ledger: Ledger,
    readonly generation: Generation,
    readonly last: boolean,
  ) {
    this.random = ledger.random;
    const { disk, random, trace } = ledger;
    const wall = ledger.moveWall(generation.drift);
    // A last line that is whole gets the newline that it lacks.
    this.found = disk.bytesIn(DIRECTORY) + disk.unfinishedIn(DIRECTORY);
    this.foundAside = ledger.bytesAside(false);
    const files: Manners = generation.files;
    this.files = new SimFiles(
      disk,
      files,
      random,
      this.clock,
      wall,
      trace === undefined
        ? undefined
        : (text) => {
            this.note(text);
          },
    );
    this.files.onFailedSync = (evicted) => {
      if (evicted) this.ledger.evicted();
      else this.ledger.ghosted();
    };
    this.files.onFailedDirectorySync = (path, inARow) => {
      if (path === DIRECTORY && inARow > PATIENCE) this.ledger.unsyncedNames.add(this.ledger.generation);
    };
    this.files.onFirstLie = () => {
      this.ledger.lie();
    };
    const some = (value: number): number | undefined => (value === Infinity ? undefined : value);
    this.batcher = new FileBatcher<Thing>(
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
          if (thing.id === this.mute) throw new Refusal('it has no text');
          return JSON.stringify(thing);
        },
        retry: {
          attempts: generation.retries,
          minDelay: generation.minDelay,
          maxDelay: 100,
          jitter: false,
          delay: ({ error }) => (isFinal(error) ? false : undefined),
        },
        unref: true,
        clock: this.clock,
        batchFlush: (batch, context) => sink(this, batch, context),
        batchPostFlush: () => post(this),
        batchPreFlush: () => hook(this),
        batchDeadLetter: () => hook(this),
      },
      this.files,
    );
    listen(this);
  }

  async run(): Promise<void> {
    const { steps, removal, ending } = this.generation;
    if (this.random.chance(0.7)) await openFirst(this);
    for (let step = 0; step < steps && !this.files.dead && this.sound; step++) {
      if (step === removal) {
        this.removed = true;
        this.ledger.removeDirectory();
      }
      for (const [at, kind] of this.generation.sabotage) if (at === step) this.sabotage(kind);
      if (this.generation.verbs > 0 && this.ledger.verbs.chance(this.generation.verbs)) use(this);
      this.step();
      this.addUp();
      if (this.random.chance(0.8))
        await this.pass(this.random.chance(0.3) ? 0 : this.random.int(this.random.pick([10, 100, 400, 2500])));
    }
    if (!this.sound) return;
    if (this.last) await this.deliverAll();
    else if (!this.files.dead && (ending === 'close' || ending === 'closeThenPower')) await this.close();
    this.files.die();
    for (const files of this.contenders) files.die();
    // What the dead process still does must not be seen anywhere.
    await this.clock.advance(0);
    if (this.sabotages > 0 && (!this.closed || this.files.trouble)) this.ledger.abandoned();
    if (this.files.mostInUse > DESCRIPTORS + 2 * this.generation.lanes) {
      this.ledger.bad(`G16: ${this.files.mostInUse} descriptors at one time`);
    }
    this.ledger.moveWall(this.files.wall - this.ledger.moveWall(0));
    if (this.files.failedOnly('write')) this.ledger.firm(this.closed, this.files.diedAt);
    // A part that could not be written keeps the file of the whole.
    const kept = this.files.trouble ? this.splits : 0;
    this.ledger.notRemoved[this.ledger.generation] = this.files.failed('remove') + kept;
    this.ledger.ops += this.files.ops;
    if (ending === 'power' || ending === 'closeThenPower') {
      this.ledger.powerLoss(this.generation, this.files.diedAt, this.files.trouble);
    } else this.note(`*** the end: ${this.closed ? 'closed' : 'killed'}`);
    this.ledger.disk.owners.clear();
  }

  isDead(): boolean {
    return this.files.dead;
  }

  get sound(): boolean {
    return this.ledger.violations.length === 0;
  }

  note(text: string): void {
    this.ledger.trace?.(`${this.clock.now().toString().padStart(6)}  ${text}`);
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advance(Math.min(ms, STEP));
    // A dead process does nothing any more.
    for (let rest = ms - STEP; rest > 0 && !this.isDead(); rest -= STEP) {
      await this.clock.advance(Math.min(rest, STEP));
      if (!this.isDead()) this.addUp();
    }
    if (!this.isDead()) this.check();
  }

  step(): void {
    const dice = this.random.int(12);
    if (dice < 7) for (let count = 1 + this.random.int(5); count > 0; count--) add(this);
    else if (dice < 9) {
      this.note('flush()');
      void this.batcher.flush().catch(() => undefined);
    } else if (dice < 10) contend(this);
  }

  sabotage(kind: Sabotage): void {
    const harm = sabotage(
      this.ledger.disk,
      DIRECTORY,
      kind,
      this.ledger.trials,
      ({ number }) => (this.files.writing.get(number) ?? 0) > 0 && this.files.created.has(number),
      (text) => {
        this.note(text);
      },
    );
    if (harm === undefined) return;
    this.sabotages++;
    if (!this.recovered) this.ledger.unaccountable = true;
    this.note(`  hit: ${harm.hit.join(' ')}; nameless: ${harm.nameless.join(' ')}`);
    this.ledger.harm(harm, kind);
  }

  /** A1. */
  addUp(): void {
    if (this.files.dead) return;
    const { spool } = this.batcher.state;
    const { added, delivered, refused, dropped, quarantined, dead, lost, returned, pending, bytes } = spool;
    if (added !== delivered + refused + dropped + quarantined + dead + lost + returned + pending) {
      this.ledger.bad(`A1: the counters do not add up: ${JSON.stringify({ ...spool })}`);
    }
    if (lost > this.lost) this.ledger.bad(`G17: ${lost} items are counted as lost, and ${this.lost} were told`);
    if (Math.min(added, delivered, refused, dropped, quarantined, dead, lost, returned, pending, bytes) < 0) {
      this.ledger.bad(`A1: a counter is below zero: ${JSON.stringify({ ...spool })}`);
    }
  }

  check(): void {
    this.addUp();
    const { maxBytes } = this.generation;
    // What was there before is there; damaged lines are copied before they go.
    const copied = Math.max(0, this.ledger.bytesAside(true) - this.foundAside);
    const { disk } = this.ledger;
    // A part has a file of its own before that of the whole goes, and so has a part of it: `-<nonce>.<part>.<part>-`.
    const divisions = [...(disk.current.get(DIRECTORY)?.keys() ?? [])].map(
      (name) => name.split('-')[1]?.split('.').length ?? 1,
    );
    const { partly, tooLarge, giveUp } = this.generation;
    const copies = partly > 0 || tooLarge > 0 || giveUp === 'split' ? Math.max(2, ...divisions) : 1;
    const allowed = copies * Math.max(maxBytes, this.found) + copied;
    if (!this.files.trouble && !this.ledger.sabotaged && disk.bytesIn(DIRECTORY) > allowed) {
      this.ledger.bad(`G12: ${disk.bytesIn(DIRECTORY)} bytes on disk, ${allowed} are allowed`);
    }
  }

  async deliverAll(): Promise<void> {
    void this.batcher.open().catch(() => undefined);
    for (let wait = 0; wait < 10; wait++) await this.pass(SLOWEST);
    const flushed = watch(this.batcher.flush());
    for (let wait = 0; wait < 100 && flushed.state === 'pending'; wait++) await this.pass(50);
    if (flushed.state === 'pending') this.ledger.bad('A2: flush() does not settle at the end');
    else if (flushed.state === 'rejected' && this.generation.maxAttempts === Infinity) {
      this.ledger.bad(`G1: flush() fails at the end: ${String(flushed.error)}`);
    }
    const { pending } = this.batcher.state;
    if (pending !== 0) this.ledger.bad(`G1: ${pending} items are pending after flush()`);
    for (const [id, verb] of this.open) this.ledger.bad(`A2: ${verb}(${id}) does not settle`);
    await this.close();
    if (this.files.inUse !== 0) this.ledger.bad(`A6: ${this.files.inUse} descriptors are open after close()`);
    if (this.clock.pendingTimers > 0) this.ledger.bad(`A6: ${this.clock.pendingTimers} timers are armed after close()`);
  }

  async close(): Promise<void> {
    const timeout = this.random.pick([100, 1000]);
    const flush = this.last || this.random.chance(0.7);
    this.note(`close({ timeout: ${timeout}, flush: ${flush} })`);
    const failed = this.files.failed();
    const closed = watch(this.batcher.close({ timeout, flush }));
    for (let wait = 0; wait < 100 && closed.state === 'pending' && !this.files.dead; wait++) await this.pass(50);
    if (this.isDead() || !this.sound) return;
    if (closed.state === 'pending') {
      this.ledger.bad('A8: close() does not settle');
      return;
    }
    this.note(`closed: ${closed.state} ${String(closed.error)}`);
    this.closed = true;
    // A disk that hangs may have kept it from reporting what a failed sync has lost.
    if (this.files.hung === 0 || closed.state === 'resolved') this.ledger.ended.add(this.ledger.generation);
    for (const [id, verb] of this.open) this.ledger.bad(`A2: ${verb}(${id}) does not settle by close()`);
    if (this.ledger.disk.owners.get(DIRECTORY)?.() === true)
      this.ledger.bad('G11: the directory is locked after close()');
    const { quarantined, lost, dead, pending, dropped, returned } = this.batcher.state.spool;
    // A file in dead/ or returned/ is as it was; one that could not be moved there counts as dropped.
    this.ledger.accounted += quarantined + lost + dead + dropped + returned - this.displaced;
    if (this.sabotages > 0 && pending > 0) this.ledger.unaccountable = true;
    if (this.files.failed() === failed && this.files.hung === 0) this.ledger.closeCleanly();
    const { hang } = this.generation.files;
    if (this.files.hung > 0 && hang !== undefined && hang.ms < Infinity) {
      await this.clock.advance(hang.ms);
      if (!this.isDead() && this.ledger.disk.owners.get(DIRECTORY)?.() === true) {
        this.ledger.bad('G11: the directory is locked after close(), by a call that had hung');
      }
    }
    const unused = this.files.inUse - this.files.reading;
    // A copy of damaged lines that an attempt has begun ends by itself after the attempt has expired.
    if (
      !this.files.trouble &&
      this.sabotages === 0 &&
      unused > 0 &&
      this.hanging === 0 &&
      closed.state === 'resolved'
    ) {
      this.ledger.bad(`A6: ${unused} descriptors are open after close()`);
    }
  }
}
