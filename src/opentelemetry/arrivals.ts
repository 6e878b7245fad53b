import type { SpanContext } from '@opentelemetry/api';
import { MOST_LINKS, activeSpan } from './recorder.js';

/** An item that has not joined a batch. */
export interface Arrival {
  readonly at: number;
  readonly span: SpanContext | undefined;
  /** For room: it is not accepted yet. */
  waits: boolean;
}

/** The items of one batch. */
export interface Group {
  /** Milliseconds, by `performance.now`: when the oldest was added. */
  readonly at: number;
  readonly spans: readonly SpanContext[];
}

/**
 * Items in the order in which they were added, which is the order in which batches are made of them. When something has
 * left without being seen (refused late, cleared), the rest has no known place until nothing is pending any more.
 */
export class Arrivals {
  #items: Arrival[] = [];
  #head = 0;
  #certain = true;

  get oldest(): number | undefined {
    return this.#items[this.#head]?.at;
  }

  add(): Arrival {
    const arrival = { at: performance.now(), span: activeSpan(), waits: false };
    this.#items.push(arrival);
    return arrival;
  }

  /** It was not accepted. */
  remove(arrival: Arrival): void {
    const last = this.#items.length - 1;
    const at = this.#items[last] === arrival ? last : this.#items.indexOf(arrival, this.#head);
    if (at >= this.#head) this.#items.splice(at, 1);
  }

  /** Some have left, and which of them is not known. */
  lost(): void {
    this.#certain = false;
  }

  /** Nothing is pending: only those that wait for room are left. */
  reset(): void {
    this.#items = this.#items.slice(this.#head).filter(({ waits }) => waits);
    this.#head = 0;
    this.#certain = true;
  }

  /** The next batch begins, of so many items. */
  take(size: number): Group {
    const at = this.oldest ?? performance.now();
    const end = Math.min(this.#head + size, this.#items.length);
    const spans: SpanContext[] = [];
    const seen = new Set<string>();
    for (; this.#head < end; this.#head++) {
      const span = this.#items[this.#head]?.span;
      if (span === undefined || !this.#certain || seen.size === MOST_LINKS || seen.has(span.spanId)) continue;
      seen.add(span.spanId);
      spans.push(span);
    }
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return { at, spans };
  }
}
