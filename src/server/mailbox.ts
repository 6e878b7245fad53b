import { Call } from './call.js';
import type { Op } from './types.js';
import { Deque } from '../core/deque.js';

/** Inside the server, messages are of any type; the public class gives them theirs. */
export type AnyOp = Op<unknown, unknown, unknown>;

/** A message in the mailbox. A bare value is a cast, so that a cast takes no more memory than its place in the queue. */
export type Entry = unknown;

/** A message that is not a cast, or a cast whose message is a `Call`. */
class Wrapped {
  readonly #op: AnyOp;

  constructor(op: AnyOp) {
    this.#op = op;
  }

  /** `undefined` for another entry; calls no trap of a proxy. */
  static opOf(entry: unknown): AnyOp | undefined {
    return typeof entry === 'object' && entry !== null && #op in entry ? entry.#op : undefined;
  }
}

export function castOf(message: unknown): Entry {
  return Call.is(message) ? new Wrapped({ kind: 'cast', message }) : message;
}

export function infoOf(message: unknown): Entry {
  return new Wrapped({ kind: 'info', message });
}

/** The message as its handler sees it. */
export function opOf(entry: Entry): AnyOp {
  return Call.is(entry) ? entry : (Wrapped.opOf(entry) ?? { kind: 'cast', message: entry });
}

/**
 * The messages that were accepted and are in no batch yet, oldest first.
 *
 * Positions count accepted messages. Invariants: `taken <= accepted`, their difference is the number of messages in the
 * queue, and neither ever shrinks. Groups are disjoint, in the order of their positions.
 */
export class Mailbox {
  /** Position of the next message to be accepted. */
  accepted = 0;
  /** Position of the oldest message in the queue. */
  taken = 0;
  readonly #entries = new Deque<Entry>();
  /** Messages that must stay in one batch: of each `castBatch`, the positions. */
  readonly #groups = new Deque<{ from: number; to: number }>();
  readonly #hardLimit: boolean;

  /** With `hardLimit`, a `castBatch` may be split. */
  constructor(hardLimit: boolean) {
    this.#hardLimit = hardLimit;
  }

  get size(): number {
    return this.accepted - this.taken;
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
    this.accepted++;
  }

  pushGroup(entries: readonly Entry[]): void {
    const from = this.accepted;
    for (let i = 0; i < entries.length; i++) this.#entries.push(entries[i]);
    this.accepted = from + entries.length;
    if (entries.length > 1 && !this.#hardLimit) this.#groups.push({ from, to: this.accepted });
  }

  /** Removes and returns the oldest messages, at most `limit`, and more only to keep a group whole. */
  take(limit: number): AnyOp[] {
    const to = this.#endOfGroup(Math.min(this.taken + limit, this.accepted));
    const taken = this.#entries.take(to - this.taken);
    this.taken = to;
    // In place: no other code has this list.
    const ops = taken as AnyOp[];
    for (let i = 0; i < ops.length; i++) ops[i] = opOf(taken[i]);
    return ops;
  }

  /** A copy of the queue from the position on. */
  since(position: number): Entry[] {
    return this.#entries.slice(Math.max(0, position - this.taken));
  }

  /** Throws if an invariant does not hold. */
  check(): void {
    const { length } = this.#entries;
    if (length !== this.size || length < 0)
      throw new Error(`the mailbox counts ${this.size} messages and holds ${length}`);
  }

  /** `to`, or the end of the group that a batch ending there would split. */
  #endOfGroup(to: number): number {
    let first = this.#groups.peek();
    while (first !== undefined && first.to < to) {
      this.#groups.shift();
      first = this.#groups.peek();
    }
    return first !== undefined && first.from < to ? first.to : to;
  }
}
