import { type Meter, type Tracer, metrics, trace } from '@opentelemetry/api';
import { OptionsError } from '../index.js';
import { instrumentCollector } from './collector.js';
import { SCOPE } from './names.js';
import { instrumentKeyed, instrumentServer, instrumentServing } from './others.js';
import { Recorder } from './recorder.js';
import { type Target, isCollector, isServer, isServing } from './targets.js';

export { ATTRIBUTE, METRIC } from './names.js';
export type { CollectorTarget, ServerTarget, ServingTarget, Target } from './targets.js';

/** Options of `instrument`; each may be left out or `null`. */
export interface InstrumentOptions {
  /**
   * Makes the metrics.
   * @default the global meter named `batch-please`
   */
  meter?: Meter | null | undefined;
  /**
   * Makes the spans.
   * @default the global tracer named `batch-please`
   */
  tracer?: Tracer | null | undefined;
  /**
   * The attribute `messaging.destination.name` of every metric and span; different for each target.
   * @default the name of the class
   */
  name?: string | null | undefined;
}

/**
 * Sends metrics and traces of a collector, a `KeyedBatcher`, a serving or a batch server. Returns a function that undoes
 * it. A target that is not instrumented does nothing for it.
 *
 * A span per flush is linked to the spans in which its items were added, at most 128.
 *
 * @throws `OptionsError`
 *
 * @example
 * const end = instrument(batcher, { name: 'orders' });
 */
export function instrument(target: Target, options: InstrumentOptions = {}): () => void {
  checkOptions(options);
  const known = typeof target === 'object' && (target as unknown) !== null;
  const name = options.name ?? (known ? target.constructor.name : '');
  const meter = options.meter ?? metrics.getMeter(SCOPE);
  const tracer = options.tracer ?? trace.getTracer(SCOPE);
  const recorder = (operation: 'flush' | 'process'): Recorder => new Recorder({ meter, tracer, name, operation });
  if (known && isCollector(target)) {
    // The read turns the hooks among its options into methods.
    const { batches } = target.state;
    const visible = batches !== undefined && typeof Reflect.get(target, 'batchFlush') === 'function';
    return (visible ? instrumentCollector : instrumentKeyed)(target, recorder('flush'));
  }
  if (known && isServing(target)) return instrumentServing(target, recorder('process'));
  if (known && isServer(target)) return instrumentServer(target, recorder('process'));
  throw wrong('target', 'a collector, a serving or a batch server', target);
}

const hasMethod = (value: unknown, name: string): boolean => {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, name) === 'function';
};
const OPTIONS: Record<string, [expected: string, test: (value: unknown) => boolean]> = {
  meter: ['a meter of OpenTelemetry', (value) => hasMethod(value, 'createHistogram')],
  tracer: ['a tracer of OpenTelemetry', (value) => hasMethod(value, 'startSpan')],
  name: ['a text', (value) => typeof value === 'string'],
};

function checkOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null) throw wrong('options', 'an object', options);
  for (const [name, value] of Object.entries(options)) {
    const [expected, test] = OPTIONS[name] ?? ['no such option', () => false];
    if (value !== undefined && value !== null && !test(value)) throw wrong(name, expected, value);
  }
}

function wrong(option: string, expected: string, given: unknown): OptionsError {
  const what = typeof given === 'string' ? `'${given}'` : typeof given === 'number' ? String(given) : typeof given;
  return new OptionsError(`instrument: ${option}: expected ${expected}, given ${what}`, option, expected, given);
}
