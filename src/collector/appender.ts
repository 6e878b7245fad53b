import type { Core } from '../core/core.js';
import { Deque } from '../core/deque.js';
import { Deferred, RESOLVED, adopt, hush, ignorableRejection } from '../core/promise.js';
import type { AppendHooks, Stage, Until } from './append-hooks.js';

/** The promise of an awaited add whose entry has not joined. */
class Joiner extends Deferred {
  constructor(
    readonly position: number,
    readonly until: Until,
    readonly handled: boolean,
  ) {
    super();
  }
}

/** Entries whose hook has not answered. */
interface Late<Entry> {
  entries: readonly Entry[];
  stage: 'open' | 'add';
  /** How long the hook may take. */
  limit: number;
}

/** Joins entries with the open batch, settles the promises of their adds, and refuses entries. */
export abstract class Appender<Entry, State> {
  /** The entry that joined last. */
  last: Entry | undefined;
  /** In the order of their entries, which is that of joining. */
  protected readonly joiners = new Deque<Joiner>();
  protected late: Late<Entry> | undefined;
  /** The last refusal: its position and error. */
  protected refusedAt = -1;
  protected refusal: Error | undefined;
  /** Settles when a lane is free again for the batch that the last entry did not fit into. */
  protected displaced: Promise<void> | undefined;

  constructor(
    protected readonly core: Core<State>,
    protected readonly hooks: AppendHooks<Entry, State>,
  ) {}

  /** The entry has not joined: it waits for its hook, or was refused. */
  protected early(position: number, until: Until, handled: boolean): Promise<void> {
    if (this.core.joined > position) return ignorableRejection(this.refusal);
    const joiner = new Joiner(position, until, handled);
    const first = this.joiners.peek();
    // The entry's hook has run already, and may have added the others.
    const others = first !== undefined && first.position > position ? this.joiners.take(this.joiners.length) : [];
    this.joiners.push(joiner);
    for (const other of others) this.joiners.push(other);
    return joiner.promise;
  }

  /** The entry has joined and no turn was made since: its promise, or `undefined` for one that waits for a lane. */
  protected waitFor(position: number, until: Until, handled: boolean): Promise<void> | undefined {
    const core = this.core;
    if (until === 'stored') return RESOLVED;
    if (until === 'joined') return undefined;
    const delivery = core.delivery(core.size - (core.joined - position), this.hooks.splits);
    if (handled && core.outcome !== undefined) core.outcome.handled++;
    return delivery;
  }

  /** If the entry has made a batch due, its own or the one that it did not fit into: until a lane is free again. */
  protected paceOf(position: number, pace: Promise<void>): Promise<void> {
    if (this.core.sealed > position || this.core.overdue) return pace;
    return this.displaced?.then(undefined, () => undefined) ?? RESOLVED;
  }

  protected afterTurn(position: number, pace: Promise<void>): Promise<void> {
    const later = RESOLVED.then(() => this.paceOf(position, pace));
    hush(later);
    return later;
  }

  /** Seals the batch that the next entry is not to join, and starts it without waiting for hooks of the next one. */
  protected makeWay(reason: 'weight' | 'shouldFlush'): void {
    this.displaced = this.core.pace;
    this.core.seal(reason);
    this.core.turn();
  }

  /** Says whether a turn is needed: the first entry sets the deadlines, the last makes the batch due. */
  protected joined(entry: Entry, weight: number): boolean {
    const core = this.core;
    this.last = entry;
    core.size++;
    core.weight += weight;
    // Before it counts as joined: nothing is sealed while user code looks at the open batch.
    if (this.hooks.due?.() === true) core.ask('shouldFlush');
    core.joined++;
    const joiner = this.joinerOf(core.joined - 1);
    if (joiner !== undefined) this.settle(joiner);
    return core.closing || core.size === 1 || core.waiting > 0 || core.joined > core.lookAt || core.due() !== undefined;
  }

  /** The same for a group, of which nothing need be looked at one by one. */
  protected allJoined(entries: readonly Entry[]): void {
    const core = this.core;
    this.last = entries.at(-1);
    core.size += entries.length;
    core.joined += entries.length;
    for (
      let next = this.joiners.peek();
      next !== undefined && next.position < core.joined;
      next = this.joiners.peek()
    ) {
      this.joiners.shift();
      this.settle(next);
    }
  }

  /** Takes the caller that waits for the entry of that position to join, if there is one. */
  protected joinerOf(position: number): Joiner | undefined {
    return this.joiners.peek()?.position === position ? this.joiners.shift() : undefined;
  }

  /** The caller's entry has joined. */
  protected settle(joiner: Joiner): void {
    // A promise would be adopted, which costs two more.
    if (joiner.until === 'stored') joiner.resolve();
    else {
      const promise = this.waitFor(joiner.position, joiner.until, joiner.handled);
      joiner.resolve(promise ?? this.afterTurn(joiner.position, this.core.pace));
    }
  }

  // Answers that come later, and refusals

  /** Goes on when the hook has answered, unless the entries were refused for its slowness meanwhile. */
  protected awaitHook<T>(
    entries: readonly Entry[],
    answer: PromiseLike<T>,
    stage: 'open' | 'add',
    next: (value: T) => void,
  ): void {
    const core = this.core;
    const late = { entries, stage, limit: core.limits.attempt };
    this.late = late;
    core.fastLimit = 0;
    core.entryDeadline = core.clock.now() + late.limit;
    if (core.entryDeadline < Infinity) core.turn();
    const settle = (then: () => void): void => {
      if (this.late !== late) return;
      this.answered();
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
          this.refuseAll(entries, error, stage);
        });
      },
    );
  }

  protected answered(): void {
    this.late = undefined;
    this.core.entryDeadline = Infinity;
  }

  protected refuseAll(entries: readonly Entry[], error: unknown, stage: Stage): void {
    for (const entry of entries) this.refuse(entry, error, stage);
  }

  protected refuse(entry: Entry, error: unknown, stage: Stage, handled = false): void {
    const core = this.core;
    const position = core.joined;
    const joiner = this.joinerOf(position);
    core.refused();
    const refusal = this.hooks.refused(entry, error, stage, handled || joiner?.handled === true);
    this.refusedAt = position;
    this.refusal = refusal;
    joiner?.reject(refusal);
  }
}
