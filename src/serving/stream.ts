import { Channel, type Event, MOST_UNREAD } from './channel.js';
import type { CallerContext } from './caller-context.js';
import type { Mapping } from './mapping.js';
import { withoutStack } from '../core/deadlines.js';
import { Deque } from '../core/deque.js';
import type { Awaitable } from '../core/promise.js';
import type { Call, LooseSlice, Row, Slice } from './row.js';
import { CallSlice, type Leaver, Slices } from './slices.js';
import { isError } from '../errors.js';

/** A part of a stream. Its events wait until the parts before it are through. */
interface StreamPart extends LooseSlice {
  events: Deque<Event> | undefined;
  output: unknown[] | undefined;
  failure: { error: unknown } | undefined;
}

class PartSlice extends CallSlice implements StreamPart {
  /** Made for the first event. */
  events: Deque<Event> | undefined = undefined;
  output: unknown[] | undefined = undefined;
  failure: { error: unknown } | undefined = undefined;
}

export interface StreamParts {
  leaver: Leaver;
  pulled: boolean;
  /** `mapResults`, called in the context of the caller. */
  map: ((results: unknown[]) => Awaitable<unknown>) | undefined;
  context: CallerContext | undefined;
  /** Counts the call while `map` runs. */
  mapping: Mapping;
}

/** A call whose results are read part by part, in its own order, whatever finishes first. */
export class StreamCall implements Call {
  readonly bulk = 4; // a loop of its reader ends with it
  over = false;
  aborted = false;
  deadline = Infinity;
  release: (() => void) | undefined = undefined;
  /** Stops reading its source. */
  source: (() => void) | undefined = undefined;
  /** Called with the number of values whose results were read. */
  credit: ((count: number) => void) | undefined = undefined;
  readonly channel: Channel;
  readonly #waiting = new Deque<StreamPart>();
  readonly #slices = new Slices<StreamPart>((from, row) => {
    const part = new PartSlice(this, from, row);
    this.#waiting.push(part);
    return part;
  });
  readonly #parts: StreamParts;
  /** Results from this value on are of no use. */
  #brokenAt = Infinity;
  #mapping = false;
  #ended: { reason: { error: unknown } | undefined } | undefined;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.channel = new Channel(
      (count) => this.credit?.(count),
      () => {
        this.#stop();
      },
      () => this.aborted,
    );
  }

  get pulled(): boolean {
    return this.#parts.pulled;
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

  joined(row: Row, count: number, weight: number): void {
    this.#slices.joined(row, count, weight);
  }

  send(slice: Slice, hook: string, payload: unknown): void {
    const part = slice as StreamPart; // it makes no others
    if (this.over) return;
    const event = { type: hook, payload };
    if (part === this.#waiting.peek() && !this.#mapping) this.channel.pushHook(event);
    else {
      part.events ??= new Deque();
      part.events.push(event);
      if (part.events.length > MOST_UNREAD) part.events.shift();
    }
  }

  deliver(slice: Slice, results: readonly unknown[], at: number): number {
    const part = slice as StreamPart; // it makes no others
    const output: unknown[] = [];
    for (let i = at; i < at + part.size; i++) {
      const result = results[i];
      if (isError(result)) {
        this.#settle(part, output, { error: result });
        return 0;
      }
      output.push(result);
    }
    this.#settle(part, output, undefined);
    return part.size;
  }

  /** A failed part waits for its turn. A failure of the call comes at once, and drops what has not been read. */
  fail(error: unknown, slice?: Slice): void {
    if (this.over) return;
    if (slice !== undefined) {
      this.#settle(slice as StreamPart, [], { error }); // it makes no others
      return;
    }
    this.over = true;
    this.dismiss(error);
  }

  dismiss(error: unknown): void {
    this.release?.();
    this.channel.discard();
    this.channel.end({ error });
    this.#parts.leaver.leave(this, error);
  }

  #settle(part: StreamPart, output: unknown[], failure: { error: unknown } | undefined): void {
    part.output = output;
    part.failure = failure;
    this.#slices.settled(part);
    if (failure !== undefined && part.from < this.#brokenAt) {
      this.#brokenAt = part.from;
      this.source?.();
      const later = [...this.#slices.open].filter(({ from }) => from > part.from);
      this.#parts.leaver.takeOut(later, failure.error);
    }
    this.#advance();
  }

  #advance(): void {
    while (!this.#mapping && !this.over) {
      const part = this.#waiting.peek();
      if (part === undefined) {
        if (this.#ended !== undefined) this.#finish(this.#ended.reason);
        return;
      }
      const { events, output } = part;
      part.events = undefined;
      for (const event of events ?? []) this.channel.pushHook(event);
      if (output === undefined) return;
      if (output.length === 0) this.#passed(part);
      else this.#emit(part, output);
    }
  }

  #emit(part: StreamPart, output: unknown[]): void {
    const { map, context, mapping } = this.#parts;
    if (map === undefined || context === undefined) {
      this.#emitted(part, output);
      return;
    }
    this.#mapping = true;
    const mapped = context.run(() => map(output));
    mapping.start(this, part.size, mapped);
    mapped.then(
      (value) => {
        if (this.over) return;
        this.#mapping = false;
        this.#emitted(part, value);
        this.#advance();
      },
      (error: unknown) => {
        this.#finish({ error });
        this.#parts.leaver.leave(this, error);
      },
    );
  }

  #emitted(part: StreamPart, output: unknown): void {
    this.channel.push({ type: 'batch', output: output as unknown[] }, part.size);
    this.#passed(part);
  }

  #passed(part: StreamPart): void {
    this.#waiting.shift();
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
    this.#parts.leaver.leave(this, readerHasStopped());
  }
}

/** The reason of an abort. */
export function readerHasStopped(): DOMException {
  return (readerStopped ??= withoutStack(makeReaderStopped));
}

/** One for all: it is made for each reader only to be dropped by most, and its stack is most of what leaving costs. */
let readerStopped: DOMException | undefined;
const makeReaderStopped = (): DOMException => new DOMException('the reader of the stream has stopped', 'AbortError');
