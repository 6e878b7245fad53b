import {
  type Answer,
  type Labelled,
  NONE,
  NO_REQUEST,
  type NoRequest,
  type None,
  PENDING,
  type RequestId,
  TIMEOUT,
  type Timeout,
  type Wait,
  Waiter,
  deadlineOf,
  isRequestId,
} from './requests.js';
import { type Clock, systemClock } from '../core/clock.js';
import { Deque } from '../core/deque.js';
import { checkVerbOptions } from '../options/verbs.js';
import { optionsError } from '../options/check.js';

interface Member<Label> {
  label: Label;
  stopListening: () => void;
}

type Found<Reply, Label> = Labelled<Reply, Label> | NoRequest;

/** Requests of any servers, to wait for the first answer among them. */
export class RequestCollection<Reply, Label = unknown> {
  readonly #members = new Map<RequestId<Reply>, Member<Label>>();
  /** Members that were answered and not returned yet, in the order of the answers unless `#unordered`. */
  readonly #answered = new Deque<RequestId<Reply>>();
  #unordered = false;
  /** Members whose answer may still come. */
  #open = 0;
  #clock: Clock = systemClock;
  /** One for each wait in progress, oldest first. */
  readonly #listeners = new Set<() => void>();

  /** How many requests are in the collection. */
  get size(): number {
    return this.#members.size;
  }

  /** The requests in the collection with their labels, in the order in which they were added. */
  *entries(): IterableIterator<[id: RequestId<Reply>, label: Label]> {
    for (const [id, { label }] of this.#members) yield [id, label];
  }

  /**
   * Adds a request. Labels need not differ. A wait with `{ at }` uses the clock of the request that was added last.
   *
   * @throws `OptionsError` if the id is a member already, or no id.
   */
  add(id: RequestId<Reply>, label: Label): this {
    if (!isRequestId(id)) throw optionsError('RequestCollection.add', 'id', 'what sendRequest returned', id);
    if (this.#members.has(id)) throw optionsError('RequestCollection.add', 'id', 'an id that is not in it', 'this one');
    const pending = id[PENDING];
    this.#clock = pending.clock;
    const listen = (): void => {
      pending.listeners.delete(listen);
      this.#open--;
      if (pending.answer !== undefined) this.#answered.push(id);
      this.#notify();
    };
    this.#members.set(id, { label, stopListening: () => pending.listeners.delete(listen) });
    this.#open++;
    if (pending.answer === undefined && !pending.abandoned) pending.listeners.add(listen);
    else {
      this.#unordered = true;
      listen();
    }
    return this;
  }

  /**
   * Waits for the first answer that was not returned before, and removes its request unless `delete` is `false`. Without a
   * timeout it resolves with `{ kind: 'noRequest' }` once no answer can come any more; on an empty collection at once.
   *
   * @param timeout Default: `Infinity`.
   * @throws `OptionsError`
   */
  wait(timeout: Wait = Infinity, options?: { delete?: boolean }): Promise<Found<Reply, Label> | Timeout> {
    return this.#wait(timeout, options, () => TIMEOUT);
  }

  /** As `wait`, but a timeout abandons all requests and empties the collection. */
  receive(timeout: Wait = Infinity, options?: { delete?: boolean }): Promise<Found<Reply, Label> | Timeout> {
    return this.#wait(timeout, options, () => {
      const members = [...this.#members];
      this.#members.clear();
      this.#answered.take(Infinity);
      this.#open = 0;
      for (const [id, { stopListening }] of members) {
        stopListening();
        id[PENDING].abandon();
      }
      this.#notify();
      return TIMEOUT;
    });
  }

  /**
   * Returns the next answer, as `wait`, without waiting.
   *
   * @throws `OptionsError`
   */
  check(options?: { delete?: boolean }): Found<Reply, Label> | None {
    checkVerbOptions('check', options);
    return this.#next(options?.delete ?? true) ?? (this.size === 0 ? NO_REQUEST : NONE);
  }

  #wait(
    timeout: Wait,
    options: { delete?: boolean } | undefined,
    late: () => Timeout,
  ): Promise<Found<Reply, Label> | Timeout> {
    checkVerbOptions('wait', options);
    const deadline = deadlineOf(timeout, this.#clock);
    const look = (): Found<Reply, Label> | undefined => {
      const inVain = this.size === 0 || (this.#open === 0 && deadline === Infinity);
      return this.#next(options?.delete ?? true) ?? (inVain ? NO_REQUEST : undefined);
    };
    return new Waiter(look, late, this.#listeners).wait(deadline, this.#clock);
  }

  /** Takes the next answer, if there is one. */
  #next(remove: boolean): Labelled<Reply, Label> | undefined {
    if (this.#unordered) {
      const inOrder = this.#answered.take(Infinity).sort((a, b) => a[PENDING].order - b[PENDING].order);
      for (const id of inOrder) this.#answered.push(id);
      this.#unordered = false;
    }
    const id = this.#answered.shift();
    const member = id && this.#members.get(id);
    if (id === undefined || member === undefined) return undefined;
    if (remove) {
      this.#members.delete(id);
      if (this.size === 0) this.#notify();
    }
    return { ...(id[PENDING].answer as Answer<Reply>), label: member.label }; // only answered ids are in the list
  }

  /** Wakes the waits that may end: one for each answer, and all when no answer can come any more. */
  #notify(): void {
    for (const listener of this.#listeners) {
      if (this.#answered.length === 0 && this.#open > 0) return;
      listener();
    }
  }
}
