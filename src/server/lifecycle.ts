import { Admission } from './admission.js';
import { Calls } from './calls.js';
import { type AnyHooks, type End, callInit } from './chain.js';
import { Loop } from './loop.js';
import type { AnyOp } from './mailbox.js';
import { Monitor } from './monitor.js';
import type { BatchServerConfig, BatchServerStatus, Next } from './types.js';
import { StoppedError, TimeoutError, messageOf } from '../errors.js';
import { Deferred, isThenable } from '../core/promise.js';
import { Alarm, type Clock, SafeClock, endOfTurn } from '../core/clock.js';

/** Longest time for `terminate` without a timeout of `stop`, and shortest with one, in milliseconds. */
const LONGEST_TERMINATE = 30_000;
const SHORTEST_TERMINATE = 1000;

/** A batch server from its start to its end: makes its parts, calls `init` and `terminate`, and settles their promises. */
export class Lifecycle {
  readonly monitor: Monitor;
  readonly clock: Clock;
  readonly calls: Calls;
  readonly loop: Loop;
  readonly admission: Admission;
  readonly ended: Promise<unknown>;
  readonly #hooks: AnyHooks;
  readonly #started = new Deferred();
  readonly #ended = new Deferred<unknown>();
  /** Fires when the time that `stop` may take is over. */
  readonly #alarm: Alarm;
  #onAlarm: (() => void) | undefined;
  /** By when `stop` has to end, `terminate` aside. */
  #deadline = Infinity;
  #terminatingSince: number | undefined;
  #status: 'starting' | 'running' | 'ignored' | 'stopped' = 'starting';
  /** `init` has made a state, which `terminate` has to release. */
  #made = false;
  #ending: End | undefined;
  /** Resolves at the end; set when the server begins to stop. */
  #shutting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  /** `stop` had to give up something at its timeout. */
  #late = false;
  /** The mailbox at the end, for `terminate`. */
  readonly #left: { total: number; messages: AnyOp[] } = { total: 0, messages: [] };

  constructor(
    hooks: AnyHooks,
    readonly config: BatchServerConfig,
    clock: Clock,
  ) {
    this.#hooks = hooks;
    this.ended = this.#ended.promise;
    const monitor = new Monitor(config.name);
    this.monitor = monitor;
    this.clock = new SafeClock(clock);
    this.calls = new Calls(config.name, this.clock);
    this.loop = new Loop(hooks, config, this.clock, this.calls, monitor);
    this.admission = new Admission(config, this.loop, this.calls, monitor, () => this.stoppedError());
    this.#alarm = new Alarm(this.clock, () => this.#onAlarm?.(), false);
    this.loop.onEnd = (end) => this.#halt(end);
  }

  get status(): BatchServerStatus {
    return this.#status === 'running' && this.loop.suspended ? 'suspended' : this.#status;
  }

  /** The server has ended, or `init` declined to run. */
  get over(): boolean {
    return this.#status === 'stopped' || this.#status === 'ignored';
  }

  stoppedError(): StoppedError {
    const { name } = this.config;
    if (this.#status === 'ignored') return new StoppedError(`${name} did not start: init declined`, 'ignored');
    if (this.#ending === undefined) return new StoppedError(`${name} has stopped`, undefined);
    const { reason, failed } = this.#ending;
    return new StoppedError(`${name} has stopped: ${messageOf(reason)}`, reason, failed ? reason : undefined);
  }

  // The start

  /** Calls `init`, at once. */
  begin(args: unknown): Promise<void> {
    void this.#begin(args);
    return this.#started.promise;
  }

  async #begin(args: unknown): Promise<void> {
    const { loop } = this;
    let first: Next<unknown> | 'ignore';
    try {
      first = await callInit(this.#hooks, this.config.name, args);
    } catch (error) {
      loop.begin({ reason: error, failed: true });
      this.#started.reject(error);
      return;
    }
    if (loop.chain.over) return;
    if (first === 'ignore' || first.stop !== undefined) {
      if (first === 'ignore') this.#status = 'ignored';
      loop.begin({ reason: first === 'ignore' ? 'ignored' : first.stop, failed: false });
      if (first === 'ignore') this.#started.resolve();
      else this.#started.reject(this.stoppedError());
      return;
    }
    const term = loop.chain.adopt(first);
    this.#made = true;
    this.#status = 'running';
    this.#started.resolve();
    // The caller of `start` gets the server before the chain begins.
    if (term !== undefined) await new Promise<void>((resolve) => void endOfTurn(this.clock, resolve));
    loop.begin(term === undefined ? undefined : await loop.chain.continue(term));
  }

  // The end

  /** Returns the same promise when it is called again. */
  stop(reason: unknown, timeout: number, drain: boolean): Promise<void> {
    this.#stopping ??= this.#stop(reason, timeout, drain);
    return this.#stopping;
  }

  #stop(reason: unknown, timeout: number, drain: boolean): Promise<void> {
    const stopped = new Deferred();
    if (this.over) {
      stopped.resolve();
      return stopped.promise;
    }
    this.#ending ??= { reason, failed: false };
    const { failed } = this.#ending; // a hook has failed already, which its callers know
    this.#deadline = this.clock.now() + timeout;
    // A hook may have failed before: then `terminate` runs already, and has no more time than this stop.
    if (this.#onAlarm !== undefined) this.#alarm.set(this.#alarmTime());
    void this.#shut(drain).then(() => {
      if (this.#late) stopped.reject(new TimeoutError(`stopping ${this.config.name}`, timeout));
      else if (this.#ending?.failed === true && !failed) stopped.reject(this.stoppedError());
      else stopped.resolve();
    });
    return stopped.promise;
  }

  /** A hook failed or asked to stop: messages in the mailbox are not handled, even if the server was draining. */
  #halt(end: End): void {
    this.#ending = end;
    this.#dropMailbox();
    void this.#shut(false);
  }

  #shut(drain: boolean): Promise<void> {
    if (this.#shutting !== undefined) return this.#shutting;
    const ended = new Deferred();
    // First: user code that runs below may call `stop` as well.
    this.#shutting = ended.promise;
    // Before room comes free in the mailbox.
    this.admission.close();
    if (!drain) this.#dropMailbox();
    const idle = new Deferred();
    const giveUp = (): void => {
      if (this.#onAlarm !== giveUp) return; // it has ended by itself
      const left = this.#dropMailbox();
      const running = this.loop.abandon();
      this.#late = running || (drain && left > 0);
    };
    this.#onAlarm = giveUp;
    this.#alarm.set(this.#alarmTime());
    this.loop.close(() => {
      idle.resolve();
    });
    // Without time, whatever is done at the end of this turn counts, and needs no timer.
    if (this.#deadline <= this.clock.now()) endOfTurn(this.clock, giveUp);
    void idle.promise
      .then(() => this.#finish())
      .then(() => {
        ended.resolve();
      });
    return this.#shutting;
  }

  /** Returns how many messages were dropped. */
  #dropMailbox(): number {
    const ops = this.loop.drop();
    this.monitor.counts.dropped += ops.length;
    const { messages } = this.#left;
    this.#left.total += ops.length;
    for (const op of ops.slice(0, Math.max(0, (this.config.summaryCount ?? 0) - messages.length))) messages.push(op);
    return ops.length;
  }

  async #finish(): Promise<void> {
    this.#onAlarm = undefined;
    this.#alarm.set(Infinity);
    this.loop.chain.over = true;
    if (this.#made) await this.#terminate();
    if (this.#status !== 'ignored') this.#status = 'stopped';
    const error = this.stoppedError();
    this.#started.reject(error);
    this.loop.rest(error);
    if (this.#status === 'stopped') this.#announceStop();
    const reason = this.#ending?.reason;
    this.#ended.resolve(isThenable(reason) ? error : reason); // a promise of a thenable may reject, or never settle
  }

  /** When to give up what runs: the hook, and later `terminate`. */
  #alarmTime(): number {
    const deadline = this.#deadline;
    const since = this.#terminatingSince;
    if (since === undefined) return deadline;
    return deadline === Infinity ? since + LONGEST_TERMINATE : Math.max(deadline, since + SHORTEST_TERMINATE);
  }

  /** Calls `terminate`, and waits for it no longer than `#alarmTime`. */
  async #terminate(): Promise<void> {
    if (this.#hooks.terminate === undefined) return;
    const since = this.clock.now();
    const done = new Deferred();
    this.#terminatingSince = since;
    this.#onAlarm = () => {
      this.#late ||= this.#deadline < Infinity;
      this.monitor.report(`terminate took longer than ${this.#alarmTime() - since} ms`, undefined);
      done.resolve();
    };
    this.#alarm.set(this.#alarmTime());
    const summary = this.config.summaryCount === undefined ? undefined : this.#left;
    const run = async (): Promise<void> => {
      await this.#hooks.terminate?.(this.#ending?.reason, this.loop.chain.state, summary);
    };
    run().then(
      () => {
        done.resolve();
      },
      (error: unknown) => {
        this.monitor.report('terminate failed', error);
        done.resolve();
      },
    );
    await done.promise;
    this.#onAlarm = undefined;
    this.#alarm.set(Infinity);
  }

  #announceStop(): void {
    const { name } = this.config;
    const reason = this.#ending?.reason;
    this.monitor.events.emit('stopped', { name, reason, dropped: this.monitor.counts.dropped });
    if (this.#ending?.failed === true && this.#made && !this.monitor.events.has('stopped')) {
      this.monitor.report('stopped, since a hook failed', reason);
    }
  }
}
