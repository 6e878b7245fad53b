import { TimeoutError } from '../errors.js';
import type { Batch } from './batch.js';
import { FROZEN, endOfTurn, isSystem } from './clock.js';
import type { Action } from './driver.js';
import { Actions, SOON } from './actions.js';
import { PORTION, withoutStack } from './deadlines.js';
import { adopt, isThenable } from './promise.js';

/** Attempts: starts, expires, repeats and ends them. */
export abstract class Runner<State> extends Actions<State> {
  /** Calls of `flush` that hurry nothing, until everything is cut that they demand. */
  protected readonly patient = new Set<{ position: number; leave: (error: unknown) => void }>();
  /** Attempts that have expired since the timer last fired. */
  protected expiries = 0;
  /** The number of triggers that had fired at the last look. */
  #fired = 0;
  /** When the timer last rang: answers that had arrived by then have been read. */
  #rungAt = -Infinity;
  #polls = false;

  abstract turn(now?: number): boolean;

  /** The timer has come. */
  protected ring(now: number): void {
    this.#rungAt = now;
    this.expiries = 0;
    this.turn(now);
  }

  /**
   * Whether the time of something that waits for others is up. A process that stood still reads what has arrived
   * meanwhile before that: an add, or the answer that is read first, must not fail what the next one answers.
   */
  isUp(moment: number, now: number): boolean {
    if (moment > now) return false;
    if (moment <= this.#rungAt || now - moment <= FROZEN || !isSystem(this.clock)) return true;
    if (this.#polls) return false;
    this.#polls = true;
    const ring = (): void => {
      this.#polls = false;
      this.noteWake(-Infinity);
      this.ring(this.clock.now());
    };
    // A timer comes behind those that are overdue, and the end of its turn behind what the event loop has read.
    this.clock.setTimer(() => {
      endOfTurn(this.clock, ring);
    }, 0);
    return false;
  }

  /** One move: an attempt expires, is repeated, or the next batch starts; `false` if there is none to make. */
  protected advance(now: number): boolean {
    if (this.wakeAt <= now || (this.helds > 0 && this.#fired !== this.schedule.fired)) this.#wake(now);
    const next = this.queue;
    // A lane that became idle during the look is for a batch that was due and had none.
    if (next === undefined || !this.idle) return this.idle && this.wakeAt <= now;
    if ((this.recovering && next.reason !== 'recovery') || this.ending?.retries === false) return false;
    this.skipTo(next.next);
    this.takeLane(next);
    if (next.decided !== undefined) this.applyDecided(next, next.decided);
    else if (next.status === 'retrying' && next.wakeAt > now) this.noteWake(next.wakeAt);
    else this.start(next, now);
    return true;
  }

  /** Looks at every active batch: fails what took too long, and starts what is due. */
  #wake(now: number): void {
    this.wakeAt = Infinity;
    this.#fired = this.schedule.fired;
    this.starved = false;
    for (const batch of this.active) {
      const { status, running } = batch;
      if (running ? batch.wakeAt > now : !this.#isDue(batch, now)) {
        this.noteWake(status === 'held' ? this.schedule.tick : batch.wakeAt);
      } else if (running) {
        if (!this.isUp(batch.wakeAt, now)) this.noteWake(now + FROZEN);
        else if (this.expiries < PORTION) this.#expire(batch);
        else {
          this.noteWake(this.clock.now() + SOON); // from the end of a look, which may take longer than that
          break;
        }
      } else if (this.ending?.retries === false) {
        continue; // a hook called during this look has closed
      } else if (batch.lane >= 0 || batch.work !== undefined) {
        if (!this.paused || batch.work !== undefined) this.start(batch, now); // work is the end of what was in flight
      } else if (this.idle) {
        this.takeLane(batch);
        this.start(batch, now);
      } else {
        this.starved = true;
        if (status === 'held') batch.wakeAt = -Infinity; // the trigger was for it, too
      }
    }
  }

  #expire(batch: Batch<State>): void {
    this.expiries++;
    const what = batch.work === undefined ? (this.driver.work ?? 'a flush') : 'the work after a flush';
    const error = withoutStack(() => new TimeoutError(what, batch.limit));
    this.#fail(batch, batch.begun, error, true);
  }

  #isDue({ status, wakeAt, heldAt, suspectedAt }: Batch<State>, now: number): boolean {
    if (wakeAt <= now) return true;
    if (status === 'held') return heldAt < this.schedule.fired;
    return status === 'aside' && suspectedAt < this.deliveries;
  }

  /**
   * Takes out calls that hurry nothing and cover a held batch: the next trigger may never come. A cut is a trigger, so
   * a call stays until all is cut that it demands, and after that if the held batch is to be tried again.
   */
  protected leaveHeld(now: number): void {
    const [next] = this.patient;
    if (next === undefined || next.position > this.sealed) return;
    let held: Batch<State> | undefined;
    for (const batch of this.helds > 0 ? this.active : []) {
      if (batch.status !== 'held' || this.#isDue(batch, now)) continue;
      if (held === undefined || batch.from < held.from) held = batch;
    }
    for (const call of this.patient) {
      if (call.position > this.sealed) break;
      this.patient.delete(call);
      if (held !== undefined && held.from < call.position) call.leave(held.heldBy);
    }
  }

  // Attempts

  protected start(batch: Batch<State>, now: number): void {
    batch.attempt++;
    this.move(batch, 'running');
    batch.startedAt = now;
    if (batch.firstStartedAt < 0) batch.firstStartedAt = now;
    batch.heldAt = Infinity;
    // One that was hurried during a pause, and is due by now, is no extra attempt.
    if (batch.dueAt <= now) batch.extra = false;
    batch.limit = this.limits.attempt;
    batch.wakeAt = now + batch.limit;
    this.noteWake(batch.wakeAt);
    this.active.add(batch);
    const run = ++batch.begun;
    let result: unknown;
    try {
      result = batch.work === undefined ? this.driver.run(batch) : batch.work();
    } catch (error) {
      this.#fail(batch, run, error, false);
      return;
    }
    if (!isThenable(result)) {
      this.#succeed(batch, run, result);
      return;
    }
    adopt(result).then(
      (value) => {
        this.transition(() => {
          this.#succeed(batch, run, value);
        });
      },
      (error: unknown) => {
        this.transition(() => {
          this.#fail(batch, run, error, false);
        });
      },
    );
  }

  /** The run is over; what it answers later is ignored. */
  protected endRun(batch: Batch<State>, aborted?: unknown): void {
    batch.ended = batch.begun;
    batch.endedAt = this.clock.now();
    batch.wakeAt = Infinity;
    if (aborted !== undefined) batch.context?.abort(aborted);
    batch.context = undefined;
  }

  #succeed(batch: Batch<State>, run: number, result: unknown): void {
    if (run <= batch.ended) return;
    this.endRun(batch);
    if (batch.work !== undefined) {
      this.remove(batch);
      return;
    }
    this.deliver(batch, result);
  }

  #fail(batch: Batch<State>, run: number, error: unknown, expired: boolean): void {
    if (run <= batch.ended) return;
    this.endRun(batch, expired ? error : undefined);
    batch.failure = error;
    if (batch.work === undefined) this.failures++;
    const { extra } = batch;
    if (extra) batch.attempt--; // it uses up none
    const decision = this.driver.failed(batch, error);
    const why = batch.failure; // the family may know better
    batch.extra = false;
    if (extra) batch.attempt++; // reported as its hooks saw it
    if (batch.work !== undefined) this.failWork(batch, why, decision as Action);
    else if (typeof decision === 'object' && 'parts' in decision) this.split(batch, decision, extra);
    else if (extra && typeof decision === 'object') {
      batch.hurried = decision.set !== true;
      if (batch.hurried) this.wait(batch, why, Math.max(batch.dueAt, this.clock.now()));
      else this.apply(batch, why, decision);
      batch.attempt--;
    } else {
      batch.hurried = false;
      this.apply(batch, why, decision);
    }
  }
}
