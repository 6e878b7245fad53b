import type { ServingCore } from './core.js';
import { weightOf } from './admission.js';
import { Channel, type Event } from './channel.js';
import { InlineReader, InlineRun } from './inline-run.js';
import { readValues } from './input.js';
import { checkResults, hooksOf } from './partitions.js';
import { ClosedError, TimeoutError, isError } from '../errors.js';
import { Alarm, LONGEST_TIMER } from '../core/clock.js';
import { optionsError } from '../options/check.js';
import { nextAttempt } from './retry.js';

type Emit = (event: Event) => void;

/** Batch after batch in the caller; one flat list. */
export async function inlineMany(core: ServingCore, values: unknown, options: unknown): Promise<unknown[]> {
  refuseOptions(options);
  core.ready();
  const source = readValues(core.owner, values);
  return running(core, Array.isArray(source) ? source.length : 1, async (run) => {
    const all: unknown[] = [];
    let size = 0;
    for await (const chunk of chunksOf(core, source)) {
      checkOpen(core, Array.isArray(source));
      size += chunk.length;
      const { output, failure } = splitAtError(await execute(core, chunk, run, nothing));
      if (failure !== undefined) throw failure.error;
      for (const result of output) all.push(result);
    }
    return size === 0 ? [] : [...(await core.maps.results(all))];
  });
}

/** The same as events, chunk by chunk as they are read. */
export function inlineStream(core: ServingCore, values: unknown, options: unknown): AsyncGenerator<Event, undefined> {
  let source: ReturnType<typeof readValues> = [];
  let failed: { error: unknown } | undefined;
  try {
    refuseOptions(options);
    core.ready();
    source = readValues(core.owner, values); // at the call, as every list is
  } catch (error) {
    failed = { error };
  }
  const reader = new InlineReader(core.inline);
  const events = (async function* () {
    if (failed !== undefined) throw failed.error;
    core.inline.streams++;
    try {
      for await (const chunk of chunksOf(core, source)) {
        checkOpen(core, Array.isArray(source));
        if (reader.left) return undefined;
        const channel = new Channel(nothing, nothing);
        const done = reader.execute((run) =>
          execute(core, chunk, run, (event) => {
            channel.pushHook(event);
          }),
        );
        const end = (): void => {
          channel.end();
        };
        done.then(end, end);
        yield* channel;
        const { output, failure } = splitAtError(await done);
        if (output.length > 0) yield { type: 'batch' as const, output: [...(await core.maps.results(output))] };
        if (failure !== undefined) throw failure.error;
      }
      return undefined;
    } finally {
      core.inline.streams--;
    }
  })();
  return guard(core, events, reader);
}

function guard(
  core: ServingCore,
  events: AsyncGenerator<Event, undefined>,
  reader: InlineReader,
): AsyncGenerator<Event, undefined> {
  // While the reader waits, `close` waits too.
  const next = events.next.bind(events);
  events.next = () =>
    running(core, 1, (run) => {
      reader.run = run;
      return next();
    });
  // At once: a generator ends only when the read under way has been answered.
  for (const name of ['return', 'throw'] as const) {
    const end: (outcome: undefined) => ReturnType<typeof next> = events[name].bind(events);
    events[name] = (outcome: never) => {
      reader.leave();
      return end(outcome);
    };
  }
  return events;
}

function running<T>(core: ServingCore, size: number, work: (run: InlineRun) => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const run = new InlineRun(reject);
    const done = work(run);
    core.inline.start(run, size, done);
    done.then(resolve, reject);
  });
}

/** While `close` drains, a list is executed to its end; an async iterable is not. */
function checkOpen(core: ServingCore, list: boolean): void {
  if (core.closed && !(list && core.draining)) throw new ClosedError('closed before all its values were executed');
}

/** A signal or a timeout would have no effect here. */
function refuseOptions(options: unknown): void {
  if (options != null) throw optionsError('inline', 'options', 'none', options);
}

/** The results before the first error, and that error. */
function splitAtError(results: readonly unknown[]): { output: unknown[]; failure: { error: unknown } | undefined } {
  const at = results.findIndex(isError);
  return at < 0
    ? { output: [...results], failure: undefined }
    : { output: results.slice(0, at), failure: { error: results[at] } };
}

/** Mapped values, no more at a time than a batch holds by number and weight. */
async function* chunksOf(
  core: ServingCore,
  source: readonly unknown[] | AsyncIterable<unknown>,
): AsyncGenerator<unknown[], undefined> {
  const { weigh, maxBatchWeight } = core.options;
  let chunk: unknown[] = [];
  let sum = 0;
  for await (const value of mappedValues(core, source)) {
    const weight = weigh == null ? 0 : weightOf(weigh, value);
    const heavy = sum + weight > (maxBatchWeight ?? Infinity);
    if (chunk.length > 0 && (heavy || chunk.length >= core.batchSize)) {
      yield chunk;
      chunk = [];
      sum = 0;
    }
    chunk.push(value);
    sum += weight;
    if (chunk.length >= core.batchSize) {
      yield chunk;
      chunk = [];
      sum = 0;
    }
  }
  if (chunk.length > 0) yield chunk;
  return undefined;
}

async function* mappedValues(
  core: ServingCore,
  source: readonly unknown[] | AsyncIterable<unknown>,
): AsyncGenerator<unknown, undefined> {
  if (Array.isArray(source)) {
    const list = source as readonly unknown[];
    if (list.length > 0) for (const value of await core.maps.inputs(list)) yield value;
  } else {
    for await (const one of source as AsyncIterable<unknown>)
      for (const value of await core.maps.inputs([one])) yield value;
  }
  return undefined;
}

/** With the timeout and the attempts that a batch has. */
async function execute(core: ServingCore, values: unknown[], run: InlineRun, emit: Emit): Promise<readonly unknown[]> {
  const startedAt = core.clock.now();
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryOnce(core, values.slice(), attempt, run, emit);
    } catch (error) {
      const elapsed = Math.max(core.clock.now() - startedAt, 0);
      const wait = core.closed || run.failure ? undefined : nextAttempt(core.retry, { error, attempt, elapsed });
      if (wait === undefined) throw error;
      await new Promise<void>((resolve) => {
        const timer = core.clock.setTimer(resolve, Math.min(Math.max(Math.ceil(wait.retryIn), 1), LONGEST_TIMER));
        run.wake = () => {
          core.clock.clearTimer(timer);
          resolve();
        };
      });
      run.wake = undefined;
      if (core.closed || run.failure) throw error;
    }
  }
}

async function tryOnce(
  core: ServingCore,
  values: unknown[],
  attempt: number,
  run: InlineRun,
  emit: Emit,
): Promise<readonly unknown[]> {
  const { partitions, options, clock } = core;
  const size = values.length;
  const timeout = partitions.timesOut ? Infinity : (options.handlerTimeout ?? Infinity);
  const controller = new AbortController();
  let alive = true;
  const hooks = hooksOf(
    options.hooks ?? [],
    size,
    () => alive,
    (type, list, payload) => {
      emit({ type, payload: list ?? payload });
    },
  );
  const work = async (): Promise<readonly unknown[]> => {
    const state = await partitions.stateOf('inline');
    controller.signal.throwIfAborted(); // ignored; the handler must not run
    const runtimeOptions: unknown = options.runtimeOptions ?? undefined;
    const numbers = { partition: 0, state, size, weight: 0, reason: 'demand', attempt, deadline: Infinity };
    const context = { ...numbers, runtimeOptions, inline: true, hooks, signal: controller.signal };
    return checkResults(await partitions.handle(values, context), size);
  };
  const alarm = new Alarm(
    clock,
    () => {
      run.stop?.(new TimeoutError('the handler', timeout));
    },
    false,
  );
  try {
    return await new Promise((resolve, reject) => {
      run.stop = (error) => {
        reject(error);
        controller.abort(error);
      };
      run.abort = (reason) => {
        controller.abort(reason);
      };
      if (timeout < Infinity) alarm.set(clock.now() + timeout);
      work().then(resolve, reject);
    });
  } finally {
    alive = false;
    run.abort = undefined;
    alarm.set(Infinity);
  }
}

function nothing(): void {
  // No caller reads these events.
}
