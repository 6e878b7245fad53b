import type { TraceEvent } from './statistics.js';
import type { BatchServerEvents } from './types.js';
import { Histogram } from './histogram.js';
import type { AnyOp } from './mailbox.js';
import { Events, warn } from '../events.js';

export type AnyTrace = TraceEvent<unknown, unknown, unknown, unknown>;

/** The reports of a server: counts, distributions, events, traces and warnings. No user code that it calls can harm it. */
export class Monitor {
  readonly events = new Events<BatchServerEvents>();
  readonly counts = { handled: 0, failed: 0, dropped: 0, refused: 0 };
  readonly sizes = new Histogram(1);
  /** In milliseconds, to a microsecond. */
  readonly durations = new Histogram(0.001);
  /** A trace listener exists. */
  tracing = false;
  readonly #name: string;
  readonly #traced = new Events<{ trace: AnyTrace }>();
  readonly #warned = new Set<string>();

  constructor(name: string) {
    this.#name = name;
  }

  /** A batch was handled, or failed. */
  settled(size: number, limit: number, duration: number, failed: boolean): void {
    if (failed) this.counts.failed += size;
    else this.counts.handled += size;
    this.sizes.record(size);
    this.durations.record(duration);
    if (this.tracing) this.#emit({ type: 'batch', name: this.#name, size, limit, duration });
  }

  /** Traces a message that was accepted. */
  accepted(op: AnyOp): void {
    this.#emit({ type: 'in', name: this.#name, op });
  }

  /** Traces an answer that reached its caller. */
  answered(failed: boolean, answer: unknown): void {
    const { tracing } = this;
    if (tracing) this.#emit({ type: 'out', name: this.#name, ...(failed ? { error: answer } : { reply: answer }) });
  }

  /** Returns a function that removes the listener. */
  trace(listener: (event: AnyTrace) => void): () => void {
    // The wrapper distinguishes a listener that is added twice; Events watches a promise that it returns.
    const end = this.#traced.on('trace', (event) => listener(event));
    this.tracing = true;
    return () => {
      end();
      this.tracing = this.#traced.has('trace');
    };
  }

  /** Counts and emits messages that were refused, or dropped for newer ones (`dropped`), which were accepted before. */
  refused(kind: 'cast' | 'call' | 'info', count: number, error: Error, dropped = false): void {
    if (!dropped) this.counts.refused += count;
    this.events.emit('refused', { name: this.#name, kind, count, error });
    // A caller learns of it from its promise.
    if (kind !== 'call' && !this.events.has('refused')) this.report('a message was not accepted', error);
  }

  /** Reports a failure that reaches no caller as a warning, once per message. */
  report(message: string, error: unknown): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    warn('BATCH_UNHEARD', `${this.#name}: ${message}`, error);
  }

  #emit(event: AnyTrace): void {
    this.#traced.emit('trace', event);
  }
}
