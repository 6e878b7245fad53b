import type { Core } from '../core/core.js';
import { type Awaitable, RESOLVED, isThenable } from '../core/promise.js';
import { TimeoutError } from '../errors.js';
import { GroupAppender } from './append-groups.js';
import { type AppendHooks, type Until, checkWeight } from './append-hooks.js';

/**
 * Appends entries to the open batch, in order. Synchronous hooks append at once; an entry whose hook is asynchronous is
 * one slot, and nothing joins or seals before it has answered. Hooks that add in groups get what was added since the
 * last microtask.
 */
export class AppendQueue<Entry, State> extends GroupAppender<Entry, State> {
  readonly #selective: boolean;
  /** The entry on the fast path whose caller makes the turn: it has to see first whether this one was refused. */
  #awaited = -1;

  constructor(core: Core<State>, hooks: AppendHooks<Entry, State>) {
    super(core, hooks);
    this.#selective = hooks.weigh !== undefined || hooks.due !== undefined;
  }

  /** The fast path needs nothing but the add hook. */
  get fast(): boolean {
    return !this.#selective && this.groups === 0;
  }

  /**
   * The fast path: an entry that neither opens nor fills its batch. `undefined` leaves it to `add`; `false` says that
   * hooks have added more meanwhile. With a hook that answers at once two cursors and the size are all that is written.
   */
  join(entry: Entry): boolean | undefined {
    const core = this.core;
    const position = core.accepted;
    if (position >= core.fastLimit || core.joined !== position) return undefined;
    core.accepted = position + 1;
    let next: Awaitable<State | undefined>;
    try {
      next = this.hooks.add(core.state as State, entry); // it is open while the fast path is
    } catch (error) {
      this.refuse(entry, error, 'add');
      if (position !== this.#awaited) core.turn();
      return core.accepted === position + 1;
    }
    if (next === undefined) {
      core.size++;
      core.joined = position + 1;
      this.last = entry;
    } else if (!this.#added(next, entry, 0)) return core.accepted === position + 1;
    if (position + 1 < core.fastLimit) return true;
    // The hook may have called back.
    if (position !== this.#awaited) core.turn();
    return core.accepted === position + 1;
  }

  /** The fast path for an entry that a caller waits for; `undefined` leaves it to `addUntil`. */
  joinUntil(entry: Entry, until: 'joined' | 'delivered'): Promise<void> | undefined {
    const core = this.core;
    const position = core.accepted;
    if (position + 1 >= core.fastLimit || core.joined !== position) return undefined;
    const promise = until === 'joined' ? RESOLVED : core.delivery(core.size, this.hooks.splits);
    this.#awaited = position;
    this.join(entry);
    this.#awaited = -1;
    const early = core.joined <= position || this.refusedAt === position;
    const answer = early ? this.early(position, until, false) : promise;
    if (core.joined >= core.fastLimit) core.turn();
    return answer;
  }

  /** Takes an entry, without waiting for anything. */
  add(entry: Entry): void {
    if (this.#put(entry)) this.core.turn();
  }

  /** Why the entry of that position, the last that was taken, was refused at once. */
  refusalOf(position: number): Error | undefined {
    return this.refusedAt === position ? this.refusal : undefined;
  }

  /** Takes an entry; the promise rejects only if it will never be delivered. `handled`: the caller handles a refusal. */
  addUntil(entry: Entry, until: Until, handled = false): Promise<void> {
    const core = this.core;
    const position = core.accepted;
    const looks = this.#put(entry, handled);
    if (core.joined <= position || this.refusedAt === position) {
      const early = this.early(position, until, handled);
      if (looks) core.turn();
      return early;
    }
    const promise = this.waitFor(position, until, handled);
    if (!looks) return promise ?? (core.overdue ? core.pace : RESOLVED);
    const pace = promise ?? core.pace;
    const looked = core.turn();
    if (promise !== undefined) return promise;
    return looked ? this.paceOf(position, pace) : this.afterTurn(position, pace);
  }

  /** Lets the next entry or group join, or refuses entries whose hook took too long. */
  next(now: number): boolean {
    const core = this.core;
    if (this.late !== undefined && core.isUp(core.entryDeadline, now)) {
      const { entries, stage, limit } = this.late;
      this.answered();
      this.refuseAll(entries, new TimeoutError('adding an item', limit), stage);
      return true;
    }
    if (core.waiting === 0 || !core.still) return false;
    if (this.groups > 0) return this.nextGroup();
    core.waiting--;
    this.#join(this.entries.shift() as Entry, this.acceptedAt.shift()); // one waits
    return true;
  }

  /** Refuses everything that has not joined; answers how many entries that were. */
  abandon(error: Error): number {
    const core = this.core;
    const late = this.late?.entries ?? [];
    // A hook that has not returned still has its entry; the turn after it comes back to this.
    if (late.length === 0 && !core.still) return 0;
    if (late.length > 0) this.answered();
    const waiting = this.entries.take(core.waiting);
    this.acceptedAt.take(core.waiting);
    core.waiting = 0;
    this.refuseAll(late, error, 'closed');
    const { refusedAt, refusal } = this;
    this.refuseAll(waiting, error, 'closed');
    // The caller of the entry whose hook has just returned looks next whether it was refused.
    if (late.length > 0) Object.assign(this, { refusedAt, refusal });
    return late.length + waiting.length;
  }

  /** Accepts an entry, and says whether a turn is needed. */
  #put(entry: Entry, handled = false): boolean {
    const core = this.core;
    // A batch that is due is sealed before anything else joins: by the turn under way, if a hook in it adds.
    if (this.groups === 0 && core.waiting === 0 && core.still && core.due() === undefined) {
      core.accepted++;
      return this.#join(entry, undefined, handled);
    }
    core.accepted++;
    core.waiting++;
    core.fastLimit = 0;
    this.entries.push(entry);
    const { age, sinceFlush, idle } = core.limits;
    if (Math.min(age, sinceFlush, idle) < Infinity) this.acceptedAt.push(core.clock.now());
    if (this.groups === 0) return core.still;
    this.group();
    return core.waiting >= this.groups;
  }

  #join(entry: Entry, acceptedAt: number | undefined, handled = false): boolean {
    const core = this.core;
    let weight = 0;
    this.displaced = undefined;
    if (this.#selective) {
      try {
        if (this.hooks.weigh !== undefined) weight = checkWeight(this.hooks.weigh(entry));
      } catch (error) {
        this.refuse(entry, error, 'weigh', handled);
        return true;
      }
      const wanted = this.hooks.due?.() === true;
      if (core.size > 0 && core.weight + weight > core.limits.weight) this.makeWay('weight');
      else if (core.size > 0 && wanted) this.makeWay('shouldFlush');
    }
    if (core.size === 0) core.open(acceptedAt ?? core.clock.now());
    if (core.opened) return this.#addTo(core.state as State, entry, weight, handled);
    let opened: Awaitable<State>;
    try {
      opened = this.hooks.open();
    } catch (error) {
      this.refuse(entry, error, 'open', handled);
      return true;
    }
    if (!isThenable(opened)) return this.#open(opened, entry, weight, handled);
    this.awaitHook([entry], opened, 'open', (state) => {
      this.#open(state, entry, weight, handled);
    });
    return false;
  }

  #open(state: State, entry: Entry, weight: number, handled: boolean): boolean {
    this.core.state = state;
    this.core.opened = true;
    return this.#addTo(state, entry, weight, handled);
  }

  #addTo(state: State, entry: Entry, weight: number, handled: boolean): boolean {
    let next: Awaitable<State | undefined>;
    try {
      next = this.hooks.add(state, entry);
    } catch (error) {
      this.refuse(entry, error, 'add', handled);
      return true;
    }
    return this.#added(next, entry, weight);
  }

  /** The hook has returned: nothing, the next state, or a promise of either. */
  #added(next: Awaitable<State | undefined>, entry: Entry, weight: number): boolean {
    if (isThenable(next)) {
      this.awaitHook([entry], next, 'add', (state) => {
        this.#replace(state, entry, weight);
      });
      return false;
    }
    return this.#replace(next, entry, weight);
  }

  /** The next state, unless it is none: `(batch, item) => batch.items.push(item)` returns a length. */
  #replace(next: State | undefined, entry: Entry, weight: number): boolean {
    if (next !== undefined) {
      const { state } = this.core;
      if (typeof state === 'object' && state !== null && typeof next !== 'object') {
        const message = `expected nothing or the next batch, given ${String(next)}, a ${typeof next}`;
        this.refuse(entry, new TypeError(message), 'add');
        return true;
      }
      this.core.state = next;
    }
    return this.joined(entry, weight);
  }
}
