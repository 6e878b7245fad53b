import { BatchServing } from '../../../src/serving/batch-serving.js';
import type { MapsBoth, ServingOptions } from '../../../src/serving/types.js';
import { CloseError } from '../../../src/errors.js';
import { TestClock, random, type Random } from '../../../src/testing.js';

/** A value knows whose it is; its result is recognised by its number alone. */
interface Value {
  id: number;
  call: number;
  weight: number;
}

/** What happened to a value, as the handler saw it. */
interface Record {
  runs: number;
  /** It was in a batch that gave it a result. */
  served: boolean;
  /** It was in a batch that failed, or its own slot held an error. */
  failed: boolean;
}

interface CallRecord {
  ids: number[];
  kind: 'one' | 'many' | 'settled' | 'pulled' | 'stream' | 'pulledStream';
  settled: boolean;
  /** Given up by its caller, who may then not see any of its values start. */
  gone: boolean;
  outcome?: { value: unknown } | { error: unknown };
  streamed: string[];
}

const resultOf = (id: number): string => `r${String(id)}`;

/** One seed decides options, handler, callers and clock. Returns what is wrong; an empty list if nothing is. */
export async function simulate(seed: number): Promise<string[]> {
  const rng = random(seed);
  const clock = new TestClock();
  const wrong: string[] = [];
  const values: Record[] = [];
  const calls: CallRecord[] = [];
  const owner: number[] = [];
  const handlerTimeout = rng.chance(0.3) ? 20 : undefined;
  const attempts = rng.chance(0.3) ? 1 + rng.int(3) : 1;
  const weighted = rng.chance(0.25);
  const batchSize = 1 + rng.int(8);
  const partitions = rng.chance(0.1) ? Infinity : 1 + rng.int(3);
  const maxBatchWeight = 6;
  const trouble = rng.chance(0.7) ? 0.25 : 0;
  const keepCallsWhole = rng.chance(0.4);
  const limit = rng.chance(0.4) ? 1 + rng.int(20) : undefined;
  const maps = rng.chance(0.5);
  // Some maps never answer; only close ends those calls.
  const stuckMaps = maps && rng.chance(0.4);
  /** Calls of lists with such a map. */
  const stuck = new Set<number>();
  const map = (list: readonly unknown[], own: number | undefined): unknown => {
    if (rng.chance(0.3)) return [...list];
    if (rng.chance(trouble / 4)) throw new Error('map');
    if (rng.chance(trouble / 4)) return Promise.reject(new Error('map'));
    if (stuckMaps && rng.chance(0.1)) {
      if (own !== undefined && !/pulled/i.test(calls[own]?.kind ?? '')) stuck.add(own);
      return new Promise(() => undefined);
    }
    const delay = rng.int(15);
    return rng.chance(0.3)
      ? Promise.resolve([...list])
      : new Promise((resolve) => {
          clock.setTimer(() => {
            resolve([...list]);
          }, delay);
        });
  };
  const options: ServingOptions<number, 'note'> = {
    clock,
    batchSize,
    batchTimeout: rng.pick([0, 0, 5, 20]),
    partitions,
    keepCallsWhole,
    handlerTimeout,
    retry: attempts > 1 ? { attempts, minDelay: 3, jitter: false } : rng.pick([undefined, false]),
    maxPending: limit,
    overflow: rng.pick(['wait', 'reject', 'dropNewest', 'dropOldest']),
    hooks: ['note'],
    ...(weighted && { maxBatchWeight, weigh: (value: Value) => value.weight }),
    ...(rng.chance(0.5) && {
      init: ({ partition }: { partition: number }) => {
        if (rng.chance(trouble / 2)) throw new Error('init');
        return rng.chance(0.5) ? partition : Promise.resolve(partition);
      },
    }),
  };
  let running = 0;
  const handle = (list: readonly Value[]): unknown => {
    const results: unknown[] = list.map(({ id }) => resultOf(id));
    const fate = rng.chance(trouble) ? rng.pick(['throw', 'short', 'long', 'none', 'slot', 'slot', 'hang']) : 'ok';
    const failAll = (): void => {
      for (const { id } of list) record(id).failed = true;
    };
    if (fate === 'throw') {
      failAll();
      throw new Error('handler');
    }
    if (fate === 'hang' && handlerTimeout !== undefined) {
      failAll();
      return new Promise(() => undefined);
    }
    if (fate === 'short' || fate === 'long' || fate === 'none') {
      failAll();
      return fate === 'none' ? undefined : fate === 'short' ? results.slice(1) : [...results, resultOf(-1)];
    }
    list.forEach(({ id }, i) => {
      if (fate === 'slot' && rng.chance(0.3)) {
        results[i] = new Error('slot');
        record(id).failed = true;
      } else record(id).served = true;
    });
    return results;
  };
  const record = (id: number): Record => values[id] as Record; // numbered as they are made
  const call = (id: number): CallRecord => calls[owner[id] as number] as CallRecord; // the same
  const serving = new BatchServing<Value, string, number, 'note', unknown, Value, string>({
    ...options,
    ...(maps && {
      mapInputs: (list: readonly Value[]) => map(list, list[0]?.call),
      mapResults: (list: readonly string[]) => map(list, owner[Number(list[0]?.slice(1))]),
    }),
    handleBatch: (list, context) => {
      running++;
      if (running > partitions && handlerTimeout === undefined) wrong.push(`${String(running)} batches at once`);
      if (list.length > batchSize) wrong.push(`a batch of ${String(list.length)}`);
      if (list.length !== context.size) wrong.push('size is not the number of values');
      const weight = list.reduce((sum, value) => sum + value.weight, 0);
      if (weighted && weight > maxBatchWeight && list.length > 1) wrong.push(`a batch of weight ${String(weight)}`);
      for (const { id } of list) {
        record(id).runs++;
        if (record(id).runs > attempts) wrong.push(`value ${String(id)} was executed ${String(record(id).runs)} times`);
        if (call(id).gone) wrong.push(`value ${String(id)} was executed after its caller had gone`);
      }
      if (rng.chance(0.5)) context.hooks.note.each(list.map(({ id }) => resultOf(id)));
      if (rng.chance(0.1)) list = [...list];
      if (serving.state.pending > (limit ?? Infinity)) wrong.push(`${String(serving.state.pending)} pending`);
      const finish = (): never[] => {
        running--;
        return handle(list) as never[]; // wrong on purpose
      };
      if (rng.chance(0.2)) return finish();
      if (rng.chance(0.2)) return Promise.resolve().then(finish);
      const delay = rng.int(12);
      return new Promise<never[]>((resolve, reject) => {
        clock.setTimer(() => {
          try {
            resolve(finish());
          } catch (error) {
            reject(error);
          }
        }, delay);
      });
    },
  } as MapsBoth<Value, string, number, 'note', unknown, Value, string>);

  const make = (index: number): Value => {
    const id = values.push({ runs: 0, served: false, failed: false }) - 1;
    owner.push(index);
    (calls[index] as CallRecord).ids.push(id); // it has just been made
    return { id, call: index, weight: 1 + rng.int(4) };
  };
  const controllers: AbortController[] = [];
  let closed = false;
  const begin = (): Promise<void> => {
    const kind = rng.pick(['one', 'one', 'many', 'many', 'settled', 'pulled', 'stream', 'pulledStream'] as const);
    const own: CallRecord = { ids: [], kind, settled: false, gone: false, streamed: [] };
    const index = calls.push(own) - 1;
    const controller = new AbortController();
    controllers.push(controller);
    const given = {
      ...(rng.chance(0.3) && { signal: controller.signal }),
      ...(rng.chance(0.15) && { timeout: 1 + rng.int(30) }),
    };
    controller.signal.addEventListener('abort', () => {
      if ('signal' in given && !own.settled) own.gone = true;
    });
    const count = kind === 'one' ? 1 : rng.int(12);
    const source = rng.chance(0.8) ? pull(rng, clock, count, () => make(index)) : failing(count, () => make(index));
    const list = (): Value[] => Array.from({ length: count }, () => make(index));
    let work: Promise<unknown>;
    // A call of one value without options goes a shorter way.
    if (kind === 'one') work = serving.dispatch(make(index), Object.keys(given).length === 0 ? undefined : given);
    else if (kind === 'many') work = serving.dispatchMany(list(), given);
    else if (kind === 'settled') work = serving.settleMany(list(), given);
    else if (kind === 'pulled') work = serving.dispatchMany(source, given);
    else {
      const stop = rng.chance(0.2) ? rng.int(4) : Infinity;
      work = (async () => {
        const all: string[] = [];
        let events = 0;
        for await (const event of serving.stream(kind === 'stream' ? list() : source, given)) {
          if (event.type === 'batch') all.push(...event.output);
          else own.streamed.push(...(event.payload as string[]));
          if (++events > stop) {
            own.gone = true;
            throw new Error('stopped');
          }
        }
        return all;
      })();
    }
    return work.then(
      (value) => {
        own.settled = true;
        own.outcome = { value };
      },
      (error: unknown) => {
        own.settled = true;
        own.outcome = { error };
        // A caller that saw it fail does not see it start.
        if (!closed) own.gone = true;
      },
    );
  };

  /** What is accepted at the call is settled when it resolves; it never rejects. */
  let flushes = 0;
  const flush = (): Promise<void> => {
    const { values: accepted, delivered, failed, aborted } = serving.state.counts;
    const settledBefore = delivered + failed + aborted;
    flushes++;
    return serving.flush().then(
      () => {
        flushes--;
        const { counts } = serving.state;
        const now = counts.delivered + counts.failed + counts.aborted;
        if (now < settledBefore) wrong.push('flush: fewer are settled');
        if (partitions === 1 && attempts === 1 && now < accepted)
          wrong.push(`flush: ${String(now)} of ${String(accepted)}`);
      },
      (error: unknown) => {
        wrong.push(`flush rejected with ${String(error)}`);
      },
    );
  };
  const all: Promise<void>[] = [];
  for (let step = 0; step < 10 + rng.int(40); step++) {
    if (rng.chance(0.6)) all.push(begin());
    if (rng.chance(0.2) && controllers.length > 0) rng.pick(controllers).abort(new Error('aborted'));
    if (rng.chance(0.1)) all.push(flush());
    if (rng.chance(0.4)) await clock.advance(rng.int(10));
  }
  closed = true;
  const pending = rng.pick(['drain', 'drain', 'reject'] as const);
  const timeout = rng.chance(0.2) ? rng.int(5) : stuckMaps ? 100 + rng.int(300) : 5000;
  let ending = 'none';
  if (stuckMaps || rng.chance(0.5)) {
    ending = 'under way';
    const answered = (error?: unknown): void => {
      ending = error instanceof CloseError ? `${String(error.undelivered)} undelivered` : String(error);
    };
    all.push(serving.close({ pending, timeout }).then(answered, answered));
  }
  if (ending !== 'none') all.push(begin());
  for (let step = 0; step < 40; step++) await clock.advance(20);
  await clock.advance(1000);
  if (flushes > 0) wrong.push(`${String(flushes)} flushes never resolved`);
  if (ending === 'under way') wrong.push('close never ended');

  calls.forEach((own, index) => {
    const tell = (what: string): void => {
      wrong.push(`call ${String(index)} (${own.kind}) of ${own.ids.join(' ')}: ${what}`);
    };
    if (own.outcome === undefined) {
      tell('nobody answered');
      return;
    }
    const ids = own.ids.map(resultOf);
    if ('value' in own.outcome) {
      const { value } = own.outcome;
      if (own.kind === 'settled') {
        checkSettled(own.ids, value as PromiseSettledResult<string>[], record, tell);
        return;
      }
      const got = own.kind === 'one' ? [value] : (value as unknown[]);
      if (got.join() !== ids.join()) tell(`got ${got.join()}`);
      if (!own.ids.every((id) => record(id).served)) tell('got what was not served');
    } else {
      const { message } = own.outcome.error as Error;
      const excused =
        own.ids.some((id) => record(id).failed) ||
        /abort|stopped|took longer|closed|full|init|source|map/.test(message);
      if (!excused) tell(`failed with ${message}`);
      // With 'reject' what had not started fails at once, and is not counted.
      const undelivered = /results were mapped/.test(message) || (pending === 'drain' && stuck.has(index));
      if (undelivered && /closed before/.test(message) && !ending.endsWith('undelivered')) {
        tell(`was closed, and close answered ${ending}`);
      }
    }
    if (
      attempts === 1 &&
      own.streamed.some((note, i) => i > 0 && Number(note.slice(1)) <= Number(own.streamed[i - 1]?.slice(1)))
    ) {
      tell(`notes out of order: ${own.streamed.join()}`);
    }
    if (own.streamed.some((note) => !ids.includes(note))) tell(`notes of others: ${own.streamed.join()}`);
  });
  const { counts, pending: left } = serving.state;
  const sum = counts.delivered + counts.failed + counts.aborted;
  if (left !== 0 || counts.values !== sum) wrong.push(`${String(left)} pending: ${JSON.stringify(counts)}`);
  if (clock.pendingTimers > 0) wrong.push(`${String(clock.pendingTimers)} timers are left`);
  if (serving.state.running > 0) wrong.push(`${String(serving.state.running)} run for ever`);
  return wrong;
}

function checkSettled(
  ids: readonly number[],
  outcomes: readonly PromiseSettledResult<string>[],
  record: (id: number) => Record,
  tell: (what: string) => void,
): void {
  if (outcomes.length !== ids.length) tell(`got ${String(outcomes.length)} outcomes`);
  ids.forEach((id, i) => {
    const outcome = outcomes[i];
    if (outcome?.status === 'fulfilled') {
      if (outcome.value !== resultOf(id)) tell(`got ${outcome.value} for ${String(id)}`);
      if (!record(id).served) tell(`got what was not served: ${String(id)}`);
    } else if (!record(id).failed && !/took longer|closed|init/.test(String(outcome?.reason))) {
      tell(`${String(id)} was rejected with ${String(outcome?.reason)}`);
    }
  });
}

async function* pull(rng: Random, clock: TestClock, count: number, make: () => Value): AsyncGenerator<Value> {
  for (let i = 0; i < count; i++) {
    if (rng.chance(0.3)) {
      const wait = rng.int(8);
      await new Promise<void>((resolve) => {
        clock.setTimer(resolve, wait);
      });
    }
    yield make();
  }
}

async function* failing(count: number, make: () => Value): AsyncGenerator<Value> {
  for (let i = 0; i < count; i++) yield make();
  throw new Error('source');
}
