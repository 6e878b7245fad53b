import type { BatchServerStatistics, BatchServerStatus, Distribution, TraceEvent } from './types.js';
import type { Life } from './lifecycle.js';
import type { AnyHooks, AnyTrace } from './loop.js';
import { Deferred } from '../core/promise.js';
import type { Tally } from './histogram.js';

/** What `sys.getStatus` shows. */
export interface ServerStatus {
  readonly name: string;
  readonly status: BatchServerStatus;
  /** As `formatStatus` shows it, if that exists and does not fail. */
  readonly state: unknown;
  readonly limit: number;
  readonly pending: number;
}

/** Looks into a batch server and steers it from outside, between batches. Nothing here changes the batch size limit. */
export class Sys<State, Request, Reply, Cast, Info> {
  readonly #life: Life;
  readonly #hooks: AnyHooks;
  #suspension: Promise<void> | undefined;

  /** Made by the server. */
  constructor(life: Life, hooks: AnyHooks) {
    this.#life = life;
    this.#hooks = hooks;
  }

  /** The state as it was left by the last batch. */
  getState(): State {
    return this.#life.loop.state as State;
  }

  /**
   * Replaces the state by what `fn` makes of it: at once, or when the batch that runs has ended. Resolves with the new
   * state; rejects with what `fn` threw, the state staying as it was, or with `StoppedError`.
   */
  replaceState(fn: (state: State) => State): Promise<State> {
    const { loop } = this.#life;
    const done = new Deferred<State>();
    const run = (): void => {
      try {
        const state = fn(loop.state as State);
        loop.state = state;
        done.resolve(state);
      } catch (error) {
        done.reject(error);
      }
    };
    if (this.#life.over) done.reject(this.#life.stoppedError());
    else
      loop.between({
        run,
        fail: (error) => {
          done.reject(error);
        },
      });
    return done.promise;
  }

  /**
   * Stops handling; messages gather, calls may time out. Resolves when the batch that runs, if any, has ended. Rejects
   * with `StoppedError` if the server stops before.
   */
  suspend(): Promise<void> {
    if (this.#suspension !== undefined) return this.#suspension;
    const life = this.#life;
    const suspended = new Deferred();
    if (life.over) {
      suspended.reject(life.stoppedError());
      return suspended.promise;
    }
    this.#suspension = suspended.promise;
    const resumed = new Deferred();
    let wanted = true;
    life.resume = () => {
      wanted = false;
      life.suspended = false;
      life.resume = undefined;
      this.#suspension = undefined;
      resumed.resolve();
    };
    const run = (): void => {
      suspended.resolve();
      if (!wanted) return;
      life.suspended = true;
      life.occupy(() => {
        life.loop.busy = false;
        return resumed.promise;
      }, true);
    };
    life.loop.between({
      run,
      fail: (error) => {
        suspended.reject(error);
      },
    });
    return suspended.promise;
  }

  /** Goes on handling; what has gathered comes first. */
  resume(): void {
    this.#life.resume?.();
  }

  getStatus(): ServerStatus {
    const { loop, config, status } = this.#life;
    let state = loop.state;
    try {
      if (this.#hooks.formatStatus !== undefined) state = this.#hooks.formatStatus(state);
    } catch (error) {
      loop.report('formatStatus failed', error);
    }
    return { name: config.name, status, state, limit: loop.size.limits.size, pending: this.#pending };
  }

  /** One event per message in, reply out and batch; returns a function that ends it. A listener that throws harms nothing. */
  trace(listener: (event: TraceEvent<Request, Reply, Cast, Info>) => void): () => void {
    const { loop, calls, config } = this.#life;
    const { name } = config;
    // The wrapper tells apart a listener that is added twice.
    const end = loop.traced.on(
      'trace',
      (event: AnyTrace) => listener(event as TraceEvent<Request, Reply, Cast, Info>), // a promise is watched as well
    );
    loop.tracing = true;
    calls.onAnswer = (failed, answer) => {
      loop.trace(failed ? { type: 'out', name, error: answer } : { type: 'out', name, reply: answer });
    };
    return () => {
      end();
      loop.tracing = loop.traced.has('trace');
      if (!loop.tracing) calls.onAnswer = undefined;
    };
  }

  statistics(): BatchServerStatistics {
    const { loop, calls, config, engine, status } = this.#life;
    const { sizes, durations, counts } = loop;
    return {
      name: config.name,
      status,
      limit: loop.size.limits.size,
      batches: sizes.count,
      ops: counts.handled,
      accepted: engine.ledger.accepted,
      ...counts,
      pending: this.#pending,
      unanswered: calls.size,
      sizes: distribution(sizes),
      durations: distribution(durations),
    };
  }

  get #pending(): number {
    const { loop, engine } = this.#life;
    const { handled, failed, dropped } = loop.counts;
    return engine.ledger.accepted - handled - failed - dropped;
  }
}

function distribution(tally: Tally): Distribution {
  const { count, max, mean } = tally;
  const min = count === 0 ? 0 : tally.min;
  return { count, min, max, mean, p50: tally.quantile(0.5), p95: tally.quantile(0.95), p99: tally.quantile(0.99) };
}
