import {
  type Attributes,
  type BatchObservableResult,
  type Context,
  type Link,
  type Meter,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  INVALID_SPAN_CONTEXT,
  context,
  diag,
  isSpanContextValid,
  trace,
} from '@opentelemetry/api';
import { ATTRIBUTE, METRIC, SYSTEM } from './names.js';

/** Links of a span, at most. */
export const MOST_LINKS = 128;

/** An attempt to deliver a batch. */
export interface Flush {
  readonly size: number;
  readonly attempt?: number;
  readonly reason?: string;
  readonly id?: string;
}

/** Read when the metrics are collected. */
export interface Levels {
  readonly pending: number;
  readonly waiting: number;
  /** Milliseconds; `undefined` where it is not known. */
  readonly oldest: number | undefined;
  readonly outcomes: Readonly<Record<string, number>>;
}

export interface RecorderOptions {
  readonly meter: Meter;
  readonly tracer: Tracer;
  readonly name: string;
  /** The conventions' name for a flush: sending, or processing. */
  readonly operation: 'flush' | 'process';
}

/** The instruments and spans of one target. */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #base: Attributes;
  readonly #size;
  readonly #duration;
  readonly #attempts;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#base = { [ATTRIBUTE.system]: SYSTEM, [ATTRIBUTE.destination]: options.name };
    const { meter } = options;
    this.#size = meter.createHistogram(METRIC.batchSize, {
      unit: '{item}',
      description: 'Items in a delivered batch',
      advice: { explicitBucketBoundaries: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000] },
    });
    this.#duration = meter.createHistogram(METRIC.duration, {
      unit: 's',
      description: 'Duration of an attempt to deliver a batch',
      advice: { explicitBucketBoundaries: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] },
    });
    this.#attempts = meter.createCounter(METRIC.attempts, {
      unit: '{attempt}',
      description: 'Attempts to deliver a batch',
    });
  }

  /** Calls `read` at each collection; returns a function that ends it. */
  observe(read: () => Levels): () => void {
    const { meter } = this.#options;
    const pending = meter.createObservableUpDownCounter(METRIC.pending, {
      unit: '{item}',
      description: 'Items accepted and not settled',
    });
    const waiting = meter.createObservableUpDownCounter(METRIC.waiting, {
      unit: '{item}',
      description: 'Items accepted and not in flight',
    });
    const items = meter.createObservableCounter(METRIC.items, { unit: '{item}', description: 'Items by outcome' });
    const oldest = meter.createObservableGauge(METRIC.oldest, {
      unit: 's',
      description: 'Age of the oldest item that is not delivered',
    });
    const callback = (result: BatchObservableResult): void => {
      const levels = read();
      result.observe(pending, levels.pending, this.#base);
      result.observe(waiting, levels.waiting, this.#base);
      if (levels.oldest !== undefined) result.observe(oldest, levels.oldest / 1000, this.#base);
      for (const [outcome, count] of Object.entries(levels.outcomes)) {
        result.observe(items, count, { ...this.#base, [ATTRIBUTE.outcome]: outcome });
      }
    };
    const observables = [pending, waiting, items, oldest];
    meter.addBatchObservableCallback(callback, observables);
    return () => {
      meter.removeBatchObservableCallback(callback, observables);
    };
  }

  /** `startTime`: of a flush that has ended already, in milliseconds since 1970. */
  start(flush: Flush, links: readonly SpanContext[], startTime?: number): Span {
    const { tracer, name, operation } = this.#options;
    const attributes: Attributes = {
      ...this.#base,
      [ATTRIBUTE.operation]: operation,
      [ATTRIBUTE.operationType]: operation === 'flush' ? 'send' : 'process',
      [ATTRIBUTE.batchSize]: flush.size,
      ...(flush.reason !== undefined && { [ATTRIBUTE.reason]: flush.reason }),
      ...(flush.id !== undefined && { [ATTRIBUTE.id]: flush.id }),
      ...(flush.attempt !== undefined && { [ATTRIBUTE.attempt]: flush.attempt }),
    };
    const start = (): Span =>
      tracer.startSpan(`${operation} ${name}`, {
        // A root: its batch belongs to no single caller.
        root: true,
        kind: operation === 'flush' ? SpanKind.CLIENT : SpanKind.CONSUMER,
        attributes,
        links: distinct(links).map((link): Link => ({ context: link })),
        ...(startTime !== undefined && { startTime }),
      });
    return contained(start) ?? trace.wrapSpanContext(INVALID_SPAN_CONTEXT);
  }

  /** `duration` in milliseconds. */
  end(span: Span, flush: Flush, duration: number, failure?: { readonly error: unknown }, endTime?: number): void {
    contained(() => {
      this.#measure(span, flush, duration, failure);
    });
    contained(() => {
      span.end(endTime);
    });
  }

  #measure(span: Span, flush: Flush, duration: number, failure: { readonly error: unknown } | undefined): void {
    const type = failure === undefined ? undefined : typeOf(failure.error);
    const reason = flush.reason === undefined ? {} : { [ATTRIBUTE.reason]: flush.reason };
    const attributes = { ...this.#base, ...(type !== undefined && { [ATTRIBUTE.error]: type }) };
    this.#duration.record(duration / 1000, attributes);
    this.#attempts.add(1, attributes);
    if (failure === undefined) this.#size.record(flush.size, { ...this.#base, ...reason });
    else {
      const message = messageOf(failure.error);
      span.setAttribute(ATTRIBUTE.error, type ?? '_OTHER');
      span.recordException(failure.error instanceof Error ? failure.error : message);
      span.setStatus({ code: SpanStatusCode.ERROR, message });
    }
  }

  /** Records a flush that has ended, from its event. */
  ended(flush: Flush & { readonly duration: number }, links: readonly SpanContext[], error?: { error: unknown }): void {
    const now = Date.now();
    this.end(this.start(flush, links, now - flush.duration), flush, flush.duration, error, now);
  }
}

/** A sampler, span processor or exporter that throws must not fail a delivery, which would be repeated. */
function contained<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    diag.error('batch-please: a flush could not be recorded', error);
    return undefined;
  }
}

/** The context of the span in which this is called. */
export function activeSpan(): SpanContext | undefined {
  const found = trace.getSpanContext(context.active());
  return found !== undefined && isSpanContextValid(found) ? found : undefined;
}

export function inSpan<T>(span: Span, context_: Context, call: () => T): T {
  return context.with(trace.setSpan(context_, span), call);
}

function distinct(links: readonly SpanContext[]): SpanContext[] {
  const found = new Map<string, SpanContext>();
  for (const link of links) {
    if (found.size === MOST_LINKS) break;
    found.set(`${link.traceId}${link.spanId}`, link);
  }
  return [...found.values()];
}

/** The conventions ask for few different values: a code, or the name of a class. */
function typeOf(error: unknown): string {
  try {
    const { code, name } = error as { code?: unknown; name?: unknown };
    if (typeof code === 'string' && code !== '') return code;
    if (typeof name === 'string' && name !== '') return name;
  } catch {
    // A getter of the user's.
  }
  return '_OTHER';
}

function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return 'unknown';
  }
}
