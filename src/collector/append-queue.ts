import type { Core } from '../core/core.js';
import { Fifo } from '../core/deque.js';
import { type Awaitable, Deferred, RESOLVED, adopt, hush, ignorableRejection, isThenable } from '../core/promise.js';
import { ResultCountError, TimeoutError } from '../errors.js';

/** Where an entry was refused. */
export type Stage = 'weigh' | 'open' | 'add' | 'closed';

/** When the promise of an awaited add resolves. */
export type Until = 'joined' | 'stored' | 'delivered';

/** The hooks and facts that the queue needs. None but `open`, `add`, `addAll` and `weigh` may throw. */
export interface AppendHooks<Entry, State> {
  open(): Awaitable<State>;
  add(state: State, entry: Entry): Awaitable<State | undefined>;
  /** Instead of `add`: adds a group in order. An error in a slot refuses that entry, a throw all of them. */
  addAll?: ((state: State, entries: readonly Entry[]) => Awaitable<readonly unknown[] | undefined>) | undefined;
  weigh?: ((entry: Entry) => number) | undefined;
  /** `shouldFlush`: is the open batch due? */
  due?: (() => boolean) | undefined;
  /** The entry will never join; answers with the error for its caller. */
  refused(entry: Entry, error: unknown, stage: Stage, heard: boolean): Error;
  /** The batch can fail in part, so each entry has its own promise. */
  readonly splits: boolean;
}

/** Entries of one add hook at most; as many small items as a disk takes well in one write. */
const LARGEST_GROUP = 1024;

interface Joiner {
  until: Until;
  deferred: Deferred;
  heard: boolean;
}

/** Entries whose hook has not answered. */
interface Late<Entry> {
  entries: readonly Entry[];
  stage: 'open' | 'add';
}

/**
 * Appends entries to the open batch, in order. Synchronous hooks append at once; an entry whose hook is asynchronous is
 * one slot, and nothing joins or seals before it has answered. Hooks that add in groups get what was added since the
 * last microtask.
 */
export class AppendQueue<Entry, State> {
  /** The entry that joined last. */
  last: Entry | undefined;
  readonly #core: Core<State>;
  readonly #hooks: AppendHooks<Entry, State>;
  readonly #selective: boolean;
  readonly #groups: number;
  readonly #entries = new Fifo<Entry>();
  /** When the entries of the queue were accepted, if a time trigger measures from that. */
  readonly #acceptedAt = new Fifo<number>();
  /** Awaited adds whose entry has not joined. */
  readonly #joiners = new Map<number, Joiner>();
  #late: Late<Entry> | undefined;
  /** A group is due: entries below may be taken though the group is not full. */
  #groupTo = 0;
  #grouping = false;
  /** The last refusal: its position and error. */
  #refusedAt = -1;
  #refusal: Error | undefined;
  /** Settles when a lane is free again for the batch that the last entry did not fit into. */
  #displaced: Promise<void> | undefined;

  constructor(core: Core<State>, hooks: AppendHooks<Entry, State>) {
    this.#core = core;
    this.#hooks = hooks;
    this.#selective = hooks.weigh !== undefined || hooks.due !== undefined;
    // shouldFlush is asked before and after each entry.
    this.#groups = hooks.addAll === undefined ? 0 : hooks.due === undefined ? LARGEST_GROUP : 1;
  }

  /** The fast path needs nothing but the add hook. */
  get fast(): boolean {
    return !this.#selective && this.#groups === 0;
  }

  /**
   * The fast path: an entry that neither opens nor fills its batch. `false` leaves it to `add`. With a hook that answers
   * at once two cursors and the size are all that is written.
   */
  join(entry: Entry): boolean {
    const core = this.#core;
    const position = core.accepted;
    if (position >= core.fastLimit || core.joined !== position) return false;
    core.accepted = position + 1;
    let next: Awaitable<State | undefined>;
    try {
      next = this.#hooks.add(core.state as State, entry); // it is open while the fast path is
    } catch (error) {
      this.#refuse(entry, error, 'add');
      core.turn();
      return true;
    }
    if (next === undefined) {
      core.size++;
      core.joined = position + 1;
      this.last = entry;
    } else if (!this.#added(next, entry, 0)) return true;
    // The hook may have called back.
    if (position + 1 >= core.fastLimit) core.turn();
    return true;
  }

  /** The fast path for an entry that a caller waits for; `undefined` leaves it to `addUntil`. */
  joinUntil(entry: Entry, until: 'joined' | 'delivered'): Promise<void> | undefined {
    const core = this.#core;
    const position = core.accepted;
    if (position + 1 >= core.fastLimit || core.joined !== position) return undefined;
    const promise = until === 'joined' ? RESOLVED : core.delivery(core.size, this.#hooks.splits);
    this.join(entry);
    if (core.joined > position && this.#refusedAt !== position) return promise;
    return this.#early(position, until, false);
  }

  /** Takes an entry, without waiting for anything. */
  add(entry: Entry): void {
    if (this.#put(entry)) this.#core.turn();
  }

  /** Why the entry of that position, the last that was taken, was refused at once. */
  refusalOf(position: number): Error | undefined {
    return this.#refusedAt === position ? this.#refusal : undefined;
  }

  /** Takes an entry; the promise rejects only if it will never be delivered. `heard`: the caller handles that. */
  addUntil(entry: Entry, until: Until, heard = false): Promise<void> {
    const core = this.#core;
    const position = core.accepted;
    const looks = this.#put(entry, heard);
    if (core.joined <= position || this.#refusedAt === position) {
      const early = this.#early(position, until, heard);
      if (looks) core.turn();
      return early;
    }
    const promise = this.#waitFor(position, until, heard);
    if (!looks) return promise ?? (core.overdue ? core.pace : RESOLVED);
    const pace = promise ?? core.pace;
    const looked = core.turn();
    if (promise !== undefined) return promise;
    return looked ? this.#paceOf(position, pace) : this.#afterTurn(position, pace);
  }

  /** The entry has not joined: it waits for its hook, or was refused. */
  #early(position: number, until: Until, heard: boolean): Promise<void> {
    if (this.#core.joined > position) return ignorableRejection(this.#refusal);
    const joiner: Joiner = { until, deferred: new Deferred(), heard };
    this.#joiners.set(position, joiner);
    return joiner.deferred.promise;
  }

  /** The entry has joined and no turn was made since: its promise, or `undefined` for one that waits for a lane. */
  #waitFor(position: number, until: Until, heard: boolean): Promise<void> | undefined {
    const core = this.#core;
    if (until === 'stored') return RESOLVED;
    if (until === 'joined') return undefined;
    const delivery = core.delivery(core.size - (core.joined - position), this.#hooks.splits);
    if (heard && core.outcome !== undefined) core.outcome.heard++;
    return delivery;
  }

  /** If the entry has made a batch due, its own or the one that it did not fit into: until a lane is free again. */
  #paceOf(position: number, pace: Promise<void>): Promise<void> {
    if (this.#core.sealed > position || this.#core.overdue) return pace;
    return this.#displaced?.then(undefined, () => undefined) ?? RESOLVED;
  }

  #afterTurn(position: number, pace: Promise<void>): Promise<void> {
    const later = RESOLVED.then(() => this.#paceOf(position, pace));
    hush(later);
    return later;
  }

  /** Lets the next entry or group join, or refuses entries whose hook took too long. */
  next(now: number): boolean {
    const core = this.#core;
    if (this.#late !== undefined && core.entryDeadline <= now) {
      const { entries, stage } = this.#late;
      this.#answered();
      this.#refuseAll(entries, new TimeoutError('adding an item', core.limits.attempt), stage);
      return true;
    }
    if (core.waiting === 0 || !core.still) return false;
    if (this.#groups > 0) return this.#nextGroup();
    core.waiting--;
    this.#join(this.#entries.shift() as Entry, this.#acceptedAt.shift()); // one waits
    return true;
  }

  /** Refuses everything that has not joined; answers how many entries that were. */
  abandon(error: Error): number {
    const core = this.#core;
    const late = this.#late?.entries ?? [];
    // A hook that has not returned still has its entry; the turn after it comes back to this.
    if (late.length === 0 && !core.still) return 0;
    if (late.length > 0) this.#answered();
    const waiting = this.#entries.take(core.waiting);
    this.#acceptedAt.take(core.waiting);
    core.waiting = 0;
    this.#refuseAll(late, error, 'closed');
    this.#refuseAll(waiting, error, 'closed');
    return late.length + waiting.length;
  }

  /** Accepts an entry, and says whether a turn is needed. */
  #put(entry: Entry, heard = false): boolean {
    const core = this.#core;
    // A batch that is due is sealed before anything else joins: by the turn under way, if a hook in it adds.
    if (this.#groups === 0 && core.waiting === 0 && core.still && core.due() === undefined) {
      core.accepted++;
      return this.#join(entry, undefined, heard);
    }
    core.accepted++;
    core.waiting++;
    core.fastLimit = 0;
    this.#entries.push(entry);
    const { age, sinceFlush, idle } = core.limits;
    if (Math.min(age, sinceFlush, idle) < Infinity) this.#acceptedAt.push(core.clock.now());
    if (this.#groups === 0) return core.still;
    this.#group();
    return core.waiting >= this.#groups;
  }

  #join(entry: Entry, acceptedAt: number | undefined, heard = false): boolean {
    const core = this.#core;
    let weight = 0;
    this.#displaced = undefined;
    if (this.#selective) {
      try {
        if (this.#hooks.weigh !== undefined) weight = checkWeight(this.#hooks.weigh(entry));
      } catch (error) {
        this.#refuse(entry, error, 'weigh', heard);
        return true;
      }
      const wanted = this.#hooks.due?.() === true;
      if (core.size > 0 && core.weight + weight > core.limits.weight) this.#makeWay('weight');
      else if (core.size > 0 && wanted) this.#makeWay('shouldFlush');
    }
    if (core.size === 0) core.open(acceptedAt ?? core.clock.now());
    if (core.opened) return this.#addTo(core.state as State, entry, weight, heard);
    let opened: Awaitable<State>;
    try {
      opened = this.#hooks.open();
    } catch (error) {
      this.#refuse(entry, error, 'open', heard);
      return true;
    }
    if (!isThenable(opened)) return this.#open(opened, entry, weight, heard);
    this.#await([entry], opened, 'open', (state) => {
      this.#open(state, entry, weight, heard);
    });
    return false;
  }

  #open(state: State, entry: Entry, weight: number, heard: boolean): boolean {
    this.#core.state = state;
    this.#core.opened = true;
    return this.#addTo(state, entry, weight, heard);
  }

  /** Seals the batch that the next entry is not to join, and starts it without waiting for hooks of the next one. */
  #makeWay(reason: 'weight' | 'shouldFlush'): void {
    this.#displaced = this.#core.pace;
    this.#core.seal(reason);
    this.#core.turn();
  }

  #addTo(state: State, entry: Entry, weight: number, heard: boolean): boolean {
    let next: Awaitable<State | undefined>;
    try {
      next = this.#hooks.add(state, entry);
    } catch (error) {
      this.#refuse(entry, error, 'add', heard);
      return true;
    }
    return this.#added(next, entry, weight);
  }

  /** The hook has returned: nothing, the next state, or a promise of either. */
  #added(next: Awaitable<State | undefined>, entry: Entry, weight: number): boolean {
    if (isThenable(next)) {
      this.#await([entry], next, 'add', (state) => {
        if (state !== undefined) this.#core.state = state;
        this.#joined(entry, weight);
      });
      return false;
    }
    if (next !== undefined) this.#core.state = next;
    return this.#joined(entry, weight);
  }

  /** Says whether a turn is needed: the first entry sets the deadlines, the last makes the batch due. */
  #joined(entry: Entry, weight: number): boolean {
    const core = this.#core;
    this.last = entry;
    core.size++;
    core.weight += weight;
    // Before it counts as joined: nothing is sealed while user code looks at the open batch.
    if (this.#hooks.due?.() === true) core.ask('shouldFlush');
    core.joined++;
    if (this.#joiners.size > 0) this.#settleJoiner(core.joined - 1);
    return core.closing || core.size === 1 || core.waiting > 0 || core.joined > core.lookAt || core.due() !== undefined;
  }

  #settleJoiner(position: number): void {
    const joiner = this.#joiners.get(position);
    if (joiner === undefined) return;
    this.#joiners.delete(position);
    const { until, deferred, heard } = joiner;
    const promise = this.#waitFor(position, until, heard);
    deferred.resolve(promise ?? this.#afterTurn(position, this.#core.pace));
  }

  // Groups

  /** Schedules a group, unless one is due already. */
  #group(): void {
    const core = this.#core;
    if (this.#grouping || core.waiting === 0 || core.accepted - core.waiting < this.#groupTo) return;
    this.#grouping = true;
    queueMicrotask(() => {
      this.#grouping = false;
      this.demanded();
      core.turn();
    });
  }

  /** Entries that wait may be taken, though they are less than a group. */
  demanded(): void {
    this.#groupTo = this.#core.accepted;
  }

  #nextGroup(): boolean {
    const core = this.#core;
    const most = Math.min(core.limits.size - core.size, this.#groups);
    const begun = core.accepted - core.waiting < this.#groupTo;
    if (!begun && core.waiting < most) return false;
    const count = Math.min(most, core.waiting);
    const weights = this.#hooks.weigh === undefined ? undefined : this.#weighGroup(count);
    const entries = this.#entries.take(weights?.length ?? count);
    const acceptedAt = this.#acceptedAt.take(entries.length)[0];
    core.waiting -= entries.length;
    if (entries.length > 0) this.#joinGroup(entries, weights, acceptedAt);
    this.#group();
    return true;
  }

  #joinGroup(entries: readonly Entry[], weights: readonly number[] | undefined, acceptedAt: number | undefined): void {
    const core = this.#core;
    if (core.size > 0 && this.#hooks.due?.() === true) this.#makeWay('shouldFlush');
    if (core.size === 0) core.open(acceptedAt ?? core.clock.now());
    if (core.opened) {
      this.#addGroup(core.state as State, entries, weights);
      return;
    }
    let opened: Awaitable<State>;
    try {
      opened = this.#hooks.open();
    } catch (error) {
      this.#refuseAll(entries, error, 'open');
      return;
    }
    const add = (state: State): void => {
      core.state = state;
      core.opened = true;
      this.#addGroup(state, entries, weights);
    };
    if (isThenable(opened)) this.#await(entries, opened, 'open', add);
    else add(opened);
  }

  #addGroup(state: State, entries: readonly Entry[], weights: readonly number[] | undefined): void {
    const added = (errors: readonly unknown[] | undefined): void => {
      this.#groupAdded(entries, errors, weights);
    };
    try {
      const errors = this.#hooks.addAll?.(state, entries);
      if (isThenable(errors)) this.#await(entries, errors, 'add', added);
      else added(errors);
    } catch (error) {
      this.#refuseAll(entries, error, 'add');
    }
  }

  #groupAdded(
    entries: readonly Entry[],
    errors: readonly unknown[] | undefined,
    weights: readonly number[] | undefined,
  ): void {
    if (errors !== undefined && errors.length !== entries.length) {
      this.#refuseAll(entries, new ResultCountError(entries.length, errors.length, 'batchAddItems'), 'add');
      return;
    }
    entries.forEach((entry, i) => {
      if (errors?.[i] === undefined) this.#joined(entry, weights?.[i] ?? 0);
      else this.#refuse(entry, errors[i], 'add');
    });
  }

  /** The weights of the entries that fit into the open batch, which is sealed if not even the first one does. */
  #weighGroup(most: number): number[] {
    const core = this.#core;
    const weights: number[] = [];
    let sum = core.weight;
    for (const entry of this.#entries) {
      if (weights.length === most) break;
      let weight: number;
      try {
        weight = checkWeight(this.#hooks.weigh?.(entry));
      } catch (error) {
        if (weights.length > 0) break;
        this.#entries.shift();
        this.#acceptedAt.shift();
        core.waiting--;
        this.#refuse(entry, error, 'weigh');
        break;
      }
      const alone = weights.length === 0 && core.size === 0;
      if (sum + weight > core.limits.weight && !alone) {
        if (weights.length > 0) break;
        core.seal('weight');
        sum = 0;
      }
      sum += weight;
      weights.push(weight);
    }
    return weights;
  }

  // Answers that come later, and refusals

  /** Goes on when the hook has answered, unless the entries were refused for its slowness meanwhile. */
  #await<T>(entries: readonly Entry[], answer: PromiseLike<T>, stage: 'open' | 'add', next: (value: T) => void): void {
    const core = this.#core;
    const late = { entries, stage };
    this.#late = late;
    core.fastLimit = 0;
    core.entryDeadline = core.clock.now() + core.limits.attempt;
    if (core.entryDeadline < Infinity) core.turn();
    const settle = (then: () => void): void => {
      if (this.#late !== late) return;
      this.#answered();
      then();
      core.turn();
    };
    adopt(answer).then(
      (value) => {
        settle(() => {
          next(value);
        });
      },
      (error: unknown) => {
        settle(() => {
          this.#refuseAll(entries, error, stage);
        });
      },
    );
  }

  #answered(): void {
    this.#late = undefined;
    this.#core.entryDeadline = Infinity;
  }

  #refuseAll(entries: readonly Entry[], error: unknown, stage: Stage): void {
    for (const entry of entries) this.#refuse(entry, error, stage);
  }

  #refuse(entry: Entry, error: unknown, stage: Stage, heard = false): void {
    const core = this.#core;
    const position = core.joined;
    const joiner = this.#joiners.get(position);
    core.refused();
    const refusal = this.#hooks.refused(entry, error, stage, heard || joiner?.heard === true);
    this.#refusedAt = position;
    this.#refusal = refusal;
    joiner?.deferred.reject(refusal);
    this.#joiners.delete(position);
  }
}

/** Throws unless it is a weight. */
export function checkWeight(weight: unknown): number {
  if (typeof weight === 'number' && weight >= 0 && weight < Infinity) return weight;
  hush(weight);
  throw new TypeError(`expected a weight from 0 up, given ${String(weight)}`);
}
