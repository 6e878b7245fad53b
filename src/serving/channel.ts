import { Deque } from '../core/deque.js';

/** An element of a stream. */
export interface Event {
  type: string;
  output?: unknown[];
  payload?: unknown;
}

interface Reader {
  resolve: (result: IteratorResult<Event, undefined>) => void;
  reject: (error: unknown) => void;
}

/** How many hook events may wait for a reader. Beyond them the oldest is dropped, as a handler cannot wait. */
export const MOST_UNREAD = 10_000;

/** Events that wait for the reader of a stream, or readers that wait for events. */
export class Channel implements AsyncIterableIterator<Event, undefined> {
  /** Results, with the number of values that they settle. `at` orders them among the hook events. */
  readonly #results = new Deque<{ at: number; event: Event; credit: number }>();
  readonly #hooks = new Deque<{ at: number; event: Event }>();
  readonly #readers = new Deque<Reader>();
  #pushed = 0;
  #end: { error: unknown } | 'ended' | undefined;

  constructor(
    readonly onRead: (credit: number) => void,
    readonly onStop: () => void,
    /** Whether what waits is not to be read any more. */
    readonly isLost: () => boolean = () => false,
  ) {}

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Results of so many values. */
  push(event: Event, credit: number): void {
    if (this.#end !== undefined) return;
    if (this.#handOver(event)) this.onRead(credit);
    else this.#results.push({ at: this.#pushed++, event, credit });
  }

  pushHook(event: Event): void {
    if (this.#end !== undefined || this.#handOver(event)) return;
    this.#hooks.push({ at: this.#pushed++, event });
    if (this.#hooks.length > MOST_UNREAD) this.#hooks.shift();
  }

  /** No more events. An error is thrown once, after the events that wait. */
  end(failure?: { error: unknown }): void {
    this.#end ??= failure ?? 'ended';
    for (let reader = this.#readers.shift(); reader !== undefined; reader = this.#readers.shift()) this.#finish(reader);
  }

  /** Drops the events that wait. */
  discard(): void {
    if (this.#results.length > 0) this.#results.take(Infinity);
    if (this.#hooks.length > 0) this.#hooks.take(Infinity);
  }

  next(): Promise<IteratorResult<Event, undefined>> {
    if (this.isLost()) this.discard();
    const [result, hook] = [this.#results.peek(), this.#hooks.peek()];
    if (hook !== undefined && (result === undefined || hook.at < result.at)) {
      this.#hooks.shift();
      return Promise.resolve({ done: false, value: hook.event });
    }
    if (result !== undefined) {
      this.#results.shift();
      this.onRead(result.credit);
      return Promise.resolve({ done: false, value: result.event });
    }
    return new Promise((resolve, reject) => {
      const reader = { resolve, reject };
      if (this.#end === undefined) this.#readers.push(reader);
      else this.#finish(reader);
    });
  }

  return(): Promise<IteratorResult<Event, undefined>> {
    this.discard();
    this.#end = 'ended';
    this.end();
    this.onStop();
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(error: unknown): Promise<IteratorResult<Event, undefined>> {
    return this.return().then(() => Promise.reject(error));
  }

  #handOver(event: Event): boolean {
    const reader = this.#readers.shift();
    reader?.resolve({ done: false, value: event });
    return reader !== undefined;
  }

  #finish(reader: Reader): void {
    const end = this.#end;
    this.#end = 'ended';
    if (end === 'ended' || end === undefined) reader.resolve({ done: true, value: undefined });
    else reader.reject(end.error);
  }
}
