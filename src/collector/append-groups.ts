import type { Core } from '../core/core.js';
import { Deque } from '../core/deque.js';
import { type Awaitable, isThenable } from '../core/promise.js';
import { ResultCountError } from '../errors.js';
import { type AppendHooks, checkWeight } from './append-hooks.js';
import { Appender } from './appender.js';

/** Entries of one add hook at most; as many small items as a disk takes well in one write. */
const LARGEST_GROUP = 1024;

/** Appends entries in groups, for a hook that stores many of them in one go. */
export abstract class GroupAppender<Entry, State> extends Appender<Entry, State> {
  /** Entries of a group at most; 0 without a hook that adds in groups. */
  protected readonly groups: number;
  protected readonly entries = new Deque<Entry>();
  /** When the entries of the queue were accepted, if a time trigger measures from that. */
  protected readonly acceptedAt = new Deque<number>();
  /** A group is due: entries below may be taken though the group is not full. */
  protected groupTo = 0;
  protected grouping = false;

  constructor(core: Core<State>, hooks: AppendHooks<Entry, State>) {
    super(core, hooks);
    // shouldFlush is asked before and after each entry.
    this.groups = hooks.addAll === undefined ? 0 : hooks.due === undefined ? LARGEST_GROUP : 1;
  }

  /** Schedules a group, unless one is due already. */
  protected group(): void {
    const core = this.core;
    if (this.grouping || core.waiting === 0 || core.accepted - core.waiting < this.groupTo) return;
    this.grouping = true;
    queueMicrotask(() => {
      this.grouping = false;
      this.demanded();
      core.turn();
    });
  }

  /** Entries that wait may be taken, though they are less than a group. */
  demanded(): void {
    this.groupTo = this.core.accepted;
  }

  protected nextGroup(): boolean {
    const core = this.core;
    const most = Math.min(core.limits.size - core.size, this.groups);
    const begun = core.accepted - core.waiting < this.groupTo;
    if (!begun && core.waiting < most) return false;
    const count = Math.min(most, core.waiting);
    const weights = this.hooks.weigh === undefined ? undefined : this.weighGroup(count);
    const entries = this.entries.take(weights?.length ?? count);
    const acceptedAt = this.acceptedAt.take(entries.length)[0];
    core.waiting -= entries.length;
    if (entries.length > 0) this.joinGroup(entries, weights, acceptedAt);
    this.group();
    return true;
  }

  protected joinGroup(
    entries: readonly Entry[],
    weights: readonly number[] | undefined,
    acceptedAt: number | undefined,
  ): void {
    const core = this.core;
    if (core.size > 0 && this.hooks.due?.() === true) this.makeWay('shouldFlush');
    if (core.size === 0) core.open(acceptedAt ?? core.clock.now());
    if (core.opened) {
      this.addGroup(core.state as State, entries, weights);
      return;
    }
    let opened: Awaitable<State>;
    try {
      opened = this.hooks.open();
    } catch (error) {
      this.refuseAll(entries, error, 'open');
      return;
    }
    const add = (state: State): void => {
      core.state = state;
      core.opened = true;
      this.addGroup(state, entries, weights);
    };
    if (isThenable(opened)) this.awaitHook(entries, opened, 'open', add);
    else add(opened);
  }

  protected addGroup(state: State, entries: readonly Entry[], weights: readonly number[] | undefined): void {
    const added = (errors: readonly unknown[] | undefined): void => {
      this.groupAdded(entries, errors, weights);
    };
    try {
      const errors = this.hooks.addAll?.(state, entries);
      if (isThenable(errors)) this.awaitHook(entries, errors, 'add', added);
      else added(errors);
    } catch (error) {
      this.refuseAll(entries, error, 'add');
    }
  }

  protected groupAdded(
    entries: readonly Entry[],
    errors: readonly unknown[] | undefined,
    weights: readonly number[] | undefined,
  ): void {
    if (errors !== undefined && errors.length !== entries.length) {
      this.refuseAll(entries, new ResultCountError(entries.length, errors.length, 'batchAddItems'), 'add');
      return;
    }
    if (errors === undefined && weights === undefined && this.hooks.due === undefined) {
      this.allJoined(entries);
      return;
    }
    entries.forEach((entry, i) => {
      if (errors?.[i] === undefined) this.joined(entry, weights?.[i] ?? 0);
      else this.refuse(entry, errors[i], 'add');
    });
  }

  /** The weights of the entries that fit into the open batch, which is sealed if not even the first one does. */
  protected weighGroup(most: number): number[] {
    const core = this.core;
    const weights: number[] = [];
    let sum = core.weight;
    for (const entry of this.entries) {
      if (weights.length === most) break;
      let weight: number;
      try {
        weight = checkWeight(this.hooks.weigh?.(entry));
      } catch (error) {
        if (weights.length > 0) break;
        this.entries.shift();
        this.acceptedAt.shift();
        core.waiting--;
        this.refuse(entry, error, 'weigh');
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
}
