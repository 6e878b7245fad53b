import type { Leaver } from './calls.js';
import type { Mapping } from './mapping.js';
import { type Awaitable, isThenable } from '../core/promise.js';
import { Fifo } from '../core/deque.js';
import { type Call, type LooseSlice, type Row, type Slice, Slices, isError, sliceOf } from './row.js';

/** What a stream yields. */
export interface Event {
  type: string;
  output?: unknown[];
  payload?: unknown;
}

interface Reader {
  resolve: (result: IteratorResult<Event, undefined>) => void;
  reject: (error: unknown) => void;
}

/** Events on their way to the one who reads them. */
export class Channel implements AsyncIterableIterator<Event, undefined> {
  /** How many values each event settles, to be told when it is read. */
  readonly #events = new Fifo<{ event: Event; credit: number }>();
  readonly #readers = new Fifo<Reader>();
  #end: { error: unknown } | 'ended' | undefined;

  constructor(
    readonly onRead: (credit: number) => void,
    readonly onStop: () => void,
  ) {}

  [Symbol.asyncIterator](): this {
    return this;
  }

  push(event: Event, credit = 0): void {
    if (this.#end !== undefined) return;
    const reader = this.#readers.shift();
    if (reader === undefined) {
      this.#events.push({ event, credit });
      return;
    }
    reader.resolve({ done: false, value: event });
    this.onRead(credit);
  }

  /** No more events; with an error, that comes after what waits. */
  end(failure?: { error: unknown }): void {
    this.#end ??= failure ?? 'ended';
    const first = this.#readers.shift();
    if (first === undefined) return;
    this.#finish(first);
    for (let reader = this.#readers.shift(); reader !== undefined; reader = this.#readers.shift()) this.#finish(reader);
  }

  /** Nobody wants what waits. */
  discard(): void {
    this.#events.take(this.#events.length);
  }

  next(): Promise<IteratorResult<Event, undefined>> {
    const waiting = this.#events.shift();
    if (waiting !== undefined) {
      this.onRead(waiting.credit);
      return Promise.resolve({ done: false, value: waiting.event });
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

  /** An error is thrown once; after it there is nothing more. */
  #finish(reader: Reader): void {
    const end = this.#end;
    this.#end = 'ended';
    if (end === 'ended' || end === undefined) reader.resolve({ done: true, value: undefined });
    else reader.reject(end.error);
  }
}

/** A part of a stream: what it has to tell waits until the parts before it are through. */
interface StreamPart extends LooseSlice {
  readonly events: Event[];
  output: unknown[] | undefined;
  failure: { error: unknown } | undefined;
}

/** A call whose results are read part by part, in its own order, whatever finishes first. */
export class StreamCall implements Call {
  over = false;
  aborted = false;
  release: (() => void) | undefined = undefined;
  /** Stops reading its source. */
  source: (() => void) | undefined = undefined;
  /** Told how many more of its values have been read. */
  credit: ((count: number) => void) | undefined = undefined;
  readonly channel: Channel;
  readonly #parts = new Fifo<StreamPart>();
  readonly #slices = new Slices<StreamPart>((from, batch) => {
    const part = { ...sliceOf(this, from, batch), events: [], output: undefined, failure: undefined };
    this.#parts.push(part);
    return part;
  });
  readonly #leaver: Leaver;
  readonly #map: ((results: unknown[]) => Awaitable<unknown>) | undefined;
  readonly #mappings: Mapping;
  /** Nothing from here on is of any use. */
  #brokenAt = Infinity;
  #mapping = false;
  #ended: { reason: { error: unknown } | undefined } | undefined;

  constructor(leaver: Leaver, map: ((results: unknown[]) => Awaitable<unknown>) | undefined, mappings: Mapping) {
    this.#leaver = leaver;
    this.#map = map;
    this.#mappings = mappings;
    this.channel = new Channel(
      (count) => this.credit?.(count),
      () => {
        this.#stop();
      },
    );
  }

  get wanted(): boolean {
    return !this.over && this.#brokenAt === Infinity;
  }

  slices(): Iterable<LooseSlice> {
    return this.#slices.open;
  }

  expect(): void {
    // It ends with its last part.
  }

  end(reason?: { error: unknown }): void {
    this.#ended ??= { reason };
    this.#advance();
  }

  joined(batch: Row, weight: number): void {
    this.#slices.joined(batch, weight);
  }

  tell(slice: Slice, hook: string, payload: unknown): void {
    const part = slice as StreamPart; // it makes no others
    const event = { type: hook, payload };
    if (part === this.#parts.peek() && !this.#mapping) this.channel.push(event);
    else part.events.push(event);
  }

  deliver(slice: Slice, results: readonly unknown[], at: number): boolean {
    const part = slice as StreamPart; // it makes no others
    const output: unknown[] = [];
    for (let i = at; i < at + part.size; i++) {
      const result = results[i];
      if (isError(result)) {
        this.#settle(part, output, { error: result });
        return false;
      }
      output.push(result);
    }
    this.#settle(part, output, undefined);
    return true;
  }

  /** Of a part: in its turn. Of the call: at once, and what has not been read is lost. */
  fail(error: unknown, slice?: Slice): void {
    if (this.over) return;
    if (slice !== undefined) {
      this.#settle(slice as StreamPart, [], { error }); // it makes no others
      return;
    }
    this.channel.discard();
    this.#finish({ error });
    this.#leaver.leave(this);
  }

  #settle(part: StreamPart, output: unknown[], failure: { error: unknown } | undefined): void {
    part.output = output;
    part.failure = failure;
    this.#slices.open.delete(part);
    if (failure !== undefined && part.from < this.#brokenAt) {
      this.#brokenAt = part.from;
      this.source?.();
      this.#leaver.takeOut([...this.#slices.open].filter((later) => later.from > part.from));
    }
    this.#advance();
  }

  #advance(): void {
    while (!this.#mapping && !this.over) {
      const part = this.#parts.peek();
      if (part === undefined) {
        if (this.#ended !== undefined) this.#finish(this.#ended.reason);
        return;
      }
      for (const event of part.events.splice(0)) this.channel.push(event);
      const { output } = part;
      if (output === undefined) return;
      if (output.length === 0) this.#passed(part);
      else this.#emit(part, output);
    }
  }

  #emit(part: StreamPart, output: unknown[]): void {
    try {
      const mapped = this.#map === undefined ? output : this.#map(output);
      if (!isThenable(mapped)) {
        this.#emitted(part, mapped);
        return;
      }
      this.#mapping = true;
      this.#mappings.start(this, part.size, mapped);
      mapped.then(
        (value) => {
          this.#mapping = false;
          this.#emitted(part, value);
          this.#advance();
        },
        (error: unknown) => {
          this.#finish({ error });
          this.#leaver.leave(this);
        },
      );
    } catch (error) {
      this.#finish({ error });
      this.#leaver.leave(this);
    }
  }

  #emitted(part: StreamPart, output: unknown): void {
    this.channel.push({ type: 'batch', output: output as unknown[] }, part.size);
    this.#passed(part);
  }

  #passed(part: StreamPart): void {
    this.#parts.shift();
    if (part.failure !== undefined) this.#finish(part.failure);
  }

  #finish(failure: { error: unknown } | undefined): void {
    if (this.over) return;
    this.over = true;
    this.release?.();
    this.channel.end(failure);
  }

  /** Its reader has stopped early. */
  #stop(): void {
    if (this.over) return;
    this.over = true;
    this.aborted = true;
    this.release?.();
    this.#leaver.leave(this);
  }
}
