import type { ServingCore } from './core.js';
import { weightOf } from './admission.js';
import { checkResults, hooksOf } from './hooks.js';
import { Channel, type Event } from './stream.js';
import { TimeoutError } from '../errors.js';
import { LONGEST_TIMER, within } from '../core/clock.js';
import { optionsError } from '../options/check.js';
import { retryDelay } from '../options/retry.js';
import { isError } from './row.js';

type TellHook = (event: Event) => void;

/** Batch after batch in the caller; one flat list. */
export async function inlineMany(core: ServingCore, values: unknown, options: unknown): Promise<unknown[]> {
  refuseOptions(options);
  const { partitions } = core; // throws when closed
  const all: unknown[] = [];
  let size = 0;
  for await (const chunk of chunksOf(core, core.read(values))) {
    size += chunk.length;
    const { output, failure } = splitAtError(await execute(core, partitions, chunk));
    if (failure !== undefined) throw failure.error;
    for (const result of output) all.push(result);
  }
  return size === 0 ? [] : [...(await core.mapResults(all))];
}

/** The same as events, chunk by chunk as they are read. */
export function inlineStream(core: ServingCore, values: unknown, options: unknown): AsyncGenerator<Event, undefined> {
  // Read at the call, as every list is.
  let source: ReturnType<ServingCore['read']> = [];
  let failed: { error: unknown } | undefined;
  try {
    refuseOptions(options);
    source = core.read(values);
  } catch (error) {
    failed = { error };
  }
  return (async function* () {
    if (failed !== undefined) throw failed.error;
    const { partitions } = core; // throws when closed
    for await (const chunk of chunksOf(core, source)) {
      const channel = new Channel(nothing, nothing);
      const done = execute(core, partitions, chunk, (event) => {
        channel.push(event);
      });
      done.then(
        () => {
          channel.end();
        },
        () => {
          channel.end();
        },
      );
      yield* channel;
      const { output, failure } = splitAtError(await done);
      if (output.length > 0) yield { type: 'batch', output: [...(await core.mapResults(output))] };
      if (failure !== undefined) throw failure.error;
    }
    return undefined;
  })();
}

/** A signal or a timeout that nothing heeds would be found out too late. */
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

/** Values as the handler gets them, no more at a time than a batch holds, by number and weight. */
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
    if (list.length > 0) for (const value of await core.mapInputs(list)) yield value;
  } else {
    for await (const one of source as AsyncIterable<unknown>)
      for (const value of await core.mapInputs([one])) yield value;
  }
  return undefined;
}

/** With the timeout and the attempts that a batch has. */
async function execute(
  core: ServingCore,
  partitions: ServingCore['partitions'],
  values: unknown[],
  tell: TellHook = nothing,
): Promise<readonly unknown[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryOnce(core, partitions, values.slice(), attempt, tell);
    } catch (error) {
      const delay = core.closed ? undefined : retryDelay(core.retry, attempt);
      if (delay === undefined) throw error;
      await new Promise<void>((resolve) => {
        core.clock.setTimer(resolve, Math.min(Math.ceil(delay), LONGEST_TIMER));
      });
    }
  }
}

async function tryOnce(
  core: ServingCore,
  partitions: ServingCore['partitions'],
  values: unknown[],
  attempt: number,
  tell: TellHook,
): Promise<readonly unknown[]> {
  const timeout = core.options.handlerTimeout ?? Infinity;
  const size = values.length;
  let alive = true;
  const hooks = hooksOf(
    core.options.hooks ?? [],
    size,
    () => alive,
    (type, list, payload) => {
      tell({ type, payload: list ?? payload });
    },
  );
  const controller = new AbortController();
  const work = async (): Promise<unknown> => {
    const state = await partitions.stateOf('inline');
    if (controller.signal.aborted) return undefined; // nobody listens any more; only the handler must not run
    return partitions.handle(values, {
      partition: 0,
      state,
      size,
      weight: 0,
      reason: 'demand',
      attempt,
      runtimeOptions: core.options.runtimeOptions ?? undefined,
      inline: true,
      hooks,
      signal: controller.signal,
    });
  };
  try {
    if (timeout === Infinity) return checkResults(await work(), size);
    let results: unknown;
    const answered = work().then((answer) => {
      results = answer;
    });
    await within(core.clock, timeout, answered, () => {
      controller.abort(new TimeoutError('the handler', timeout));
    });
    controller.signal.throwIfAborted();
    return checkResults(results, size);
  } finally {
    alive = false;
  }
}

function nothing(): void {
  // Nobody listens.
}
