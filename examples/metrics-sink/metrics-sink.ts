import { BatchServer, type Next, type Op, type StopOptions } from 'batch-please';

/** What a producer casts. */
export interface Sample {
  name: string;
  value: number;
}

/** What is posted: one of these per metric that had samples. */
export interface Summary {
  name: string;
  count: number;
  sum: number;
  min: number;
  max: number;
}

export interface SinkOptions {
  url: string;
  /** Milliseconds between two posts; 1000 by default. */
  interval?: number;
}

interface Sink {
  url: string;
  /** Not posted yet. */
  summaries: Map<string, Summary>;
  posted: number;
  failed: number;
}

type SinkOp = Op<'post', number, Sample, 'tick'>;

/**
 * Aggregates what many producers cast, and posts the summaries to an HTTP endpoint at an interval.
 *
 * While a post is under way samples are collected. If the endpoint fails, the summaries stay and grow (by as much as there are
 * metrics, not samples) until the next post. `call('post')` posts at once and answers with how many metrics went out.
 */
export class MetricsSink extends BatchServer<Sink, 'post', number, Sample, 'tick'> {
  #timer: ReturnType<typeof setInterval> | undefined;

  init({ url, interval = 1000 }: SinkOptions): Next<Sink> {
    this.#timer = setInterval(() => this.info('tick'), interval);
    return { state: { url, summaries: new Map(), posted: 0, failed: 0 } };
  }

  /** `close` comes here too. A tick of a sink that takes no more messages would be refused, with a warning. */
  override stop(reason?: unknown, options?: StopOptions): Promise<void> {
    clearInterval(this.#timer);
    return super.stop(reason, options);
  }

  async handleBatch(ops: readonly SinkOp[], sink: Sink): Promise<void> {
    for (const op of ops) if (op.kind === 'cast') add(sink.summaries, op.message);
    const asked = ops.filter((op) => op.kind === 'call');
    if (asked.length === 0 && !ops.some(({ kind }) => kind === 'info')) return;
    try {
      const count = await post(sink);
      for (const op of asked) op.reply(count);
    } catch (error) {
      sink.failed++;
      for (const op of asked) op.fail(error);
    }
  }

  /** What was left is posted; if that fails, only the log can report it. */
  override async terminate(_reason: unknown, sink: Sink): Promise<void> {
    // Also after a failure, without a call of `stop`.
    clearInterval(this.#timer);
    await post(sink);
  }

  override formatStatus({ summaries, posted, failed }: Sink): unknown {
    return { waiting: summaries.size, posted, failed };
  }
}

function add(summaries: Map<string, Summary>, { name, value }: Sample): void {
  const summary = summaries.get(name);
  if (summary === undefined) summaries.set(name, { name, count: 1, sum: value, min: value, max: value });
  else {
    summary.count++;
    summary.sum += value;
    summary.min = Math.min(summary.min, value);
    summary.max = Math.max(summary.max, value);
  }
}

async function post(sink: Sink): Promise<number> {
  const body = JSON.stringify([...sink.summaries.values()]);
  const count = sink.summaries.size;
  if (count === 0) return 0;
  const response = await fetch(sink.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    // A handler without an end would hold up everything behind it.
    signal: AbortSignal.timeout(5000),
  });
  if (!response.ok) throw new Error(`${sink.url} answered ${response.status}`);
  // Nothing was added meanwhile: the next batch begins when this one has ended.
  sink.summaries.clear();
  sink.posted += count;
  return count;
}
