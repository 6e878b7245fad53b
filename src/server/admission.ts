import type { BatchServerConfig } from './types.js';
import type { AnyCall } from './call.js';
import type { Calls } from './calls.js';
import type { Loop } from './loop.js';
import type { Monitor } from './monitor.js';
import { OverflowError } from '../errors.js';
import { Deque } from '../core/deque.js';

/** The queue of waiting calls is compacted when it has grown to twice its live size, and to more than this. */
const FEW_WAITING = 64;

/**
 * Decides whether a message is accepted: bounds what is pending, and lets calls wait for room, first come, first served.
 *
 * Invariants: a call waits only while there is no room for it, or another one waits before it; none waits after `close`.
 */
export class Admission {
  /** Every message is accepted: the server takes messages, and their number is not bounded. */
  open: boolean;
  #closed = false;
  /** Calls that wait for room. Some may have left: their callers gave up. */
  readonly #waiting = new Deque<AnyCall>();
  #compactAt = FEW_WAITING;
  #lettingIn = false;
  readonly #config: BatchServerConfig;
  readonly #loop: Loop;
  readonly #calls: Calls;
  readonly #monitor: Monitor;
  readonly #stoppedError: () => Error;

  constructor(config: BatchServerConfig, loop: Loop, calls: Calls, monitor: Monitor, stoppedError: () => Error) {
    this.open = config.maxPending === Infinity;
    this.#config = config;
    this.#loop = loop;
    this.#calls = calls;
    this.#monitor = monitor;
    this.#stoppedError = stoppedError;
    if (this.open) return;
    loop.onRoom = () => {
      this.#letIn();
    };
    loop.checked.push(this);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Calls that wait for room, those that have left included. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Accepts nothing from now on, and rejects the calls that wait for room. */
  close(): void {
    this.open = false;
    this.#closed = true;
    const waiting = this.#waiting.take(Infinity);
    if (waiting.length === 0) return;
    const error = this.#stoppedError();
    for (const call of waiting) if (call.waits) this.#refuse(call, error);
  }

  /** Whether messages that do not wait are turned away, which is then counted and emitted. */
  turnsAway(kind: 'cast' | 'info', count: number): boolean {
    const error = this.#refusalOf(count);
    if (error !== undefined) this.#monitor.refused(kind, count, error);
    return error !== undefined;
  }

  /** Accepts the call, lets it wait for room, or rejects it. */
  take(call: AnyCall): void {
    const { open } = this;
    const waits = !open && !this.#closed && this.#config.overflow === 'wait' && !this.#hasRoom(1);
    const error = open || waits ? undefined : this.#refusalOf(1);
    if (error !== undefined) {
      this.#monitor.refused('call', 1, error);
      call.turnAway(error);
      return;
    }
    call.enter();
    this.#loop.rounds.want(); // the timeout starts at the end of this turn
    if (waits) this.#wait(call);
    else this.#loop.accept(call);
  }

  /** Accepts the calls that wait, as long as there is room. */
  #letIn(): void {
    if (this.#lettingIn) return;
    this.#lettingIn = true;
    while (this.#hasWaiting() && this.#fits(1)) this.#loop.accept(this.#waiting.shift());
    this.#lettingIn = false;
  }

  /** Throws if a call waits although there is room for it. */
  check(): void {
    if (this.#closed && this.waiting > 0) throw new Error('calls wait for room after close');
    if (!this.#lettingIn && this.#hasWaiting() && this.#fits(1)) throw new Error('a call waits although there is room');
  }

  /** Room for `count` messages that come now. A group that is larger than the bound is accepted when nothing is pending. */
  #hasRoom(count: number): boolean {
    return this.#fits(count) && !this.#hasWaiting();
  }

  #fits(count: number): boolean {
    const { pending } = this.#loop;
    return pending + count <= this.#config.maxPending || pending === 0;
  }

  /** Why messages cannot be accepted, after the oldest were dropped to make room, if `overflow` says so. */
  #refusalOf(count: number): Error | undefined {
    if (this.#closed) return this.#stoppedError();
    if (this.#hasRoom(count)) return undefined;
    const { name, maxPending, overflow } = this.#config;
    const { pending } = this.#loop;
    const full = new OverflowError(`${name} is full: ${pending} messages are pending`, pending, maxPending);
    // Nothing is dropped if that makes no room.
    const { running } = this.#loop;
    if (overflow !== 'dropOldest' || (running > 0 && running + count > maxPending)) return full;
    while (!this.#fits(count)) {
      const dropped = this.#loop.mailbox.take(1); // and the group that it belongs to
      this.#monitor.counts.dropped += dropped.length;
      if (dropped.length === 0) return full;
      for (const op of dropped) if (op.kind === 'call') op.fail(full);
      this.#monitor.refused('cast', dropped.length, full, true);
      if (this.closed) return this.#stoppedError(); // a listener may have stopped the server
    }
    return undefined;
  }

  #wait(call: AnyCall): void {
    this.#waiting.push(call);
    this.#calls.keep([call]);
    if (this.#waiting.length < this.#compactAt) return;
    const live = this.#waiting.take(Infinity).filter(({ waits }) => waits);
    for (const one of live) this.#waiting.push(one);
    this.#compactAt = Math.max(FEW_WAITING, 2 * live.length);
  }

  /** Removes the calls at the front that have left. */
  #hasWaiting(): boolean {
    let first = this.#waiting.peek();
    while (first !== undefined && !first.waits) {
      this.#waiting.shift();
      first = this.#waiting.peek();
    }
    return first !== undefined;
  }

  #refuse(call: AnyCall, error: Error): void {
    this.#monitor.refused('call', 1, error);
    call.refuse(error);
  }
}
