import type { Batch } from '../core/batch.js';
import { withoutStack } from '../core/deadlines.js';
import { hush } from '../core/promise.js';
import { FlushError, messageOf } from '../errors.js';
import { type Events, warn } from '../events.js';
import { errorsOf } from './item-errors.js';
import type { BatchInfo, BatchPleaseEvents } from './types.js';

/** Events of a collector, and process warnings for failures without a listener: one per kind. */
export class Reports<Item, State> {
  readonly #warned = new Set<string>();
  /** Unique to this collector, in any process. */
  readonly #id = `${ofProcess()}-${(made++).toString(36)}`;

  constructor(
    readonly events: Events<BatchPleaseEvents<Item, State>>,
    readonly owner: () => string,
    readonly batchId: ((state: State) => string | undefined) | undefined,
  ) {}

  /** Stable across attempts. A `batchId` that fails is reported, and stands back for an id of our own. */
  idOf(batch: Batch<State>): string {
    batch.id ??= this.#ownId(batch.state) ?? `${this.#id}-${batch.from}`;
    return batch.id;
  }

  #ownId(state: State): string | undefined {
    if (this.batchId === undefined) return undefined;
    try {
      const id: unknown = this.batchId(state);
      if (typeof id === 'string') return id;
      hush(id);
      this.warn(`batchId returned no string but ${typeof id}`, undefined);
    } catch (error) {
      this.warn('batchId threw', error);
    }
    return undefined;
  }

  infoOf(batch: Batch<State>): BatchInfo {
    const { reason, size, weight, attempt, startedAt, endedAt } = batch;
    const duration = Math.max(0, endedAt - startedAt); // timers ring up to a millisecond early
    return { id: this.idOf(batch), reason, size, weight, attempt, duration };
  }

  flushed(batch: Batch<State>, result: unknown): void {
    if (this.events.has('flushed')) this.events.emit('flushed', { ...this.infoOf(batch), result });
  }

  failed(batch: Batch<State>, error: unknown, retryAt: number): void {
    const { work, refusal } = batch;
    const hook = work === undefined ? 'batchFlush' : refusal !== undefined ? 'batchDeadLetter' : 'batchPostFlush';
    this.events.emit('failed', { ...this.infoOf(batch), error, retryAt, hook });
    this.warnUnless(this.events.has('failed'), `${hook} failed`, error);
  }

  held(batch: Batch<State>, error: unknown): FlushError {
    const info = this.infoOf(batch);
    this.events.emit('held', { ...info, error });
    this.warnUnless(this.events.has('held'), `a batch of ${info.size} is held after attempt ${info.attempt}`, error);
    return this.flushError(batch, 'held', error);
  }

  /** The errors for the callers of a batch that is given up: one for all, or one for each item where they differ. */
  givenUp(batch: Batch<State>, cause: unknown): { error: FlushError; errorOf?: (place: number) => FlushError } {
    const error = this.flushError(batch, 'dropped', cause);
    const errors = errorsOf(cause, batch.size);
    if (errors === undefined) return { error };
    const errorOf = (place: number): FlushError => {
      const own = errors.get(place);
      return own === undefined ? error : this.flushError(batch, 'dropped', own);
    };
    return { error, errorOf };
  }

  flushError(batch: Batch<State>, end: 'held' | 'dropped', cause: unknown): FlushError {
    const { size, attempt } = batch;
    const message = `a batch of ${size} is ${end} after attempt ${attempt}: ${messageOf(cause)}`;
    const id = this.idOf(batch);
    // A stack would show nothing of the caller; the cause has its own.
    return withoutStack(() => new FlushError(message, id, size, attempt, cause));
  }

  /** `handled`: the caller handles the failure itself. */
  refused(item: Item, error: Error, handled: boolean): void {
    this.events.emit('refused', { item, error });
    this.warnUnless(handled || this.events.has('refused'), 'an item was refused', error);
  }

  dropped(dropped: BatchPleaseEvents<Item, State>['dropped'], handled: boolean): void {
    this.events.emit('dropped', dropped);
    this.warnUnless(handled || this.events.has('dropped'), 'items were dropped', dropped.error);
  }

  closed(undelivered: number): void {
    this.events.emit('closed', { undelivered });
    const message = `closed with ${undelivered} undelivered`;
    this.warnUnless(undelivered === 0 || this.events.has('closed'), message, undefined);
  }

  warnUnless(handled: boolean, message: string, error: unknown): void {
    if (handled) return;
    const kind = message.replace(/\d+/g, '');
    if (this.#warned.has(kind)) return;
    this.#warned.add(kind);
    warn('BATCH_UNHEARD', `${this.owner()}: ${message}`, error);
  }

  warn(message: string, error: unknown): void {
    this.warnUnless(false, message, error);
  }
}

let prefix: string | undefined;
let made = 0;

/** Made once: each would take half a kilobyte. Not as the module is loaded, where some platforms allow no randomness. */
function ofProcess(): string {
  // In a browser randomUUID exists in secure contexts only.
  const { crypto } = globalThis as { crypto?: { randomUUID?: () => string } };
  prefix ??= crypto?.randomUUID?.() ?? `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  return prefix;
}
