import type { Batch, Status } from './batch.js';
import { BatchList } from './batch-list.js';
import type { Clock } from './clock.js';
import { Deque } from './deque.js';
import { type Limits, Schedule } from './schedule.js';

/** Up to this many lanes take turns; beyond them an idle lane is used again before another one is made. */
const ROTATING_LANES = 64;

/** The queue of sealed batches, and the lanes (executor slots) that they run on. */
export abstract class Lanes<State> {
  /** Batches that are neither delivered nor given up, in the order of acceptance. */
  readonly log = new BatchList<State>();
  /** Batches that have a lane, are set aside, or whose work is not done. */
  readonly active = new Set<Batch<State>>();
  readonly schedule: Schedule;
  /** Lanes in use. */
  busy = 0;
  paused = false;
  /** Batches from an earlier process are still being found: nothing that was accepted in this one starts before them. */
  recovering = false;
  /** The first batch that has not had a lane yet. */
  queue: Batch<State> | undefined;
  /** No active batch has to be looked at before. Too early is harmless. */
  protected wakeAt = Infinity;
  /** Batches that wait for the next trigger, and suspected entries that gave their lane to others. */
  protected helds = 0;
  protected asides = 0;
  /** A held batch without a lane was due, and none was idle. */
  protected starved = false;
  readonly #idle = new Deque<number>();
  #lanes = 0;
  /** Batches that have started, whose callers wait for an idle lane. */
  #pacing: Batch<State>[] = [];

  constructor(
    readonly limits: Limits,
    readonly clock: Clock,
    origin: number,
  ) {
    this.schedule = new Schedule(limits, origin);
  }

  /** A batch may start. */
  get idle(): boolean {
    return this.busy < this.limits.lanes && !this.paused;
  }

  protected noteWake(at: number): void {
    if (at < this.wakeAt) this.wakeAt = at;
  }

  protected move(batch: Batch<State>, status: Status): void {
    if (batch.status === 'held') this.helds--;
    else if (batch.status === 'aside') this.asides--;
    batch.status = status;
    if (status === 'held') this.helds++;
    else if (status === 'aside') this.asides++;
  }

  /** Moves the queue on to the first batch from here that has not had a lane. */
  protected skipTo(batch: Batch<State> | undefined): void {
    let next = batch;
    while (next !== undefined && this.active.has(next)) next = next.next;
    this.queue = next;
  }

  protected takeLane(batch: Batch<State>): void {
    const { lanes } = this.limits;
    const rotates = lanes < Infinity && this.#lanes < Math.min(lanes, ROTATING_LANES);
    batch.lane = (rotates ? undefined : this.#idle.shift()) ?? this.#lanes++;
    this.busy++;
    this.active.add(batch);
    if (batch.pace !== undefined) this.#pacing.push(batch);
  }

  protected releaseLane(batch: Batch<State>): void {
    this.active.delete(batch);
    if (batch.lane < 0) return;
    this.#idle.push(batch.lane);
    batch.lane = -1;
    this.busy--;
    this.schedule.released();
    // A batch that was set aside may need the lane.
    if (this.asides > 0 || this.starved) this.noteWake(-Infinity);
  }

  /** Takes the batch out of the log, the queue, and off its lane. */
  protected detach(batch: Batch<State>): void {
    if (this.queue === batch) this.skipTo(batch.next);
    this.log.remove(batch);
    this.releaseLane(batch);
  }

  /** The batch has ended, and so has what follows it. */
  protected remove(batch: Batch<State>): void {
    this.detach(batch);
    this.move(batch, 'settled');
    batch.pace?.resolve();
  }

  /** Resolves the callers whose batch has started, if a lane is idle. */
  protected resolvePaced(): void {
    if (this.#pacing.length === 0) return;
    if (this.idle) {
      const pacing = this.#pacing;
      this.#pacing = [];
      for (const batch of pacing) batch.pace?.resolve();
    } else if (this.#pacing.length > 2 * this.busy + 16) {
      this.#pacing = this.#pacing.filter((batch) => batch.status !== 'settled');
    }
  }
}
