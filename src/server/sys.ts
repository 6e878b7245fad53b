import type { BatchServerStatistics, Distribution, TraceEvent } from './statistics.js';
import type { BatchServerStatus } from './types.js';
import type { AnyHooks } from './chain.js';
import type { Histogram } from './histogram.js';
import type { Lifecycle } from './lifecycle.js';
import type { AnyTrace } from './monitor.js';
import { Deferred, hush, isThenable } from '../core/promise.js';

/** The result of `sys.getStatus`. */
export interface ServerStatus {
  /** The option `name`. */
  readonly name: string;
  /** The server's `status`. */
  readonly status: BatchServerStatus;
  /** The result of `formatStatus`; the state itself if there is no such hook or it failed. */
  readonly state: unknown;
  /** The batch size limit in force, in messages. */
  readonly limit: number;
  /** Messages in the mailbox or in the batch that runs. */
  readonly pending: number;
}

/** Inspects a batch server and controls it from outside, between batches. Nothing here changes the batch size limit. */
export class Sys<State, Request, Reply, Cast, Info> {
  readonly #life: Lifecycle;
  readonly #hooks: AnyHooks;
  /** The suspension that was asked for last; `resume` cancels it if it has not begun. */
  #suspension: { readonly suspended: Promise<void>; wanted: boolean } | undefined;

  /** Called by the server. */
  constructor(life: Lifecycle, hooks: AnyHooks) {
    this.#life = life;
    this.#hooks = hooks;
  }

  /** The state after the last batch. */
  getState(): State {
    return this.#life.loop.chain.state as State;
  }

  /**
   * Replaces the state by the result of `fn`: at once, or when the batch that runs has ended. Resolves with the new state.
   *
   * @throws Rejects with what `fn` threw, or with `TypeError` if it returned a promise, in which case the state stays; with
   * `StoppedError` if the server has stopped.
   */
  replaceState(fn: (state: State) => State): Promise<State> {
    const { chain } = this.#life.loop;
    const replaced = new Deferred<State>();
    this.#between(replaced, () => {
      try {
        const state = fn(chain.state as State);
        if (isThenable(state)) {
          hush(state);
          throw new TypeError('replaceState: the function returned a promise; expected the new state');
        }
        chain.state = state;
        replaced.resolve(state);
      } catch (error) {
        replaced.reject(error);
      }
    });
    return replaced.promise;
  }

  /**
   * Stops handling messages. The mailbox goes on accepting them, and calls may time out. Resolves when the batch that runs,
   * if any, has ended. `resume` ends the suspension, and so does `stop`.
   *
   * @throws Rejects with `StoppedError` if the server stops before.
   */
  suspend(): Promise<void> {
    if (this.#suspension !== undefined && !this.#life.over) return this.#suspension.suspended;
    const suspended = new Deferred();
    const suspension = { suspended: suspended.promise, wanted: true };
    this.#suspension = suspension;
    this.#between(suspended, () => {
      if (suspension.wanted) this.#life.loop.suspend();
      suspended.resolve();
    });
    return suspended.promise;
  }

  /** Handles messages again, beginning with those in the mailbox. */
  resume(): void {
    if (this.#suspension === undefined) return;
    this.#suspension.wanted = false;
    this.#suspension = undefined;
    this.#life.loop.resume();
  }

  /** Status, state, limit and pending messages, for a person to read. */
  getStatus(): ServerStatus {
    const { loop, config, status, monitor } = this.#life;
    let { state } = loop.chain;
    try {
      if (this.#hooks.formatStatus !== undefined) state = this.#hooks.formatStatus(state);
    } catch (error) {
      monitor.report('formatStatus failed', error);
    }
    return { name: config.name, status, state, limit: loop.limit.size, pending: loop.pending };
  }

  /**
   * Calls the listener for every message that is accepted, every answer and every batch. A listener that throws changes
   * nothing. Returns a function that removes the listener.
   */
  trace(listener: (event: TraceEvent<Request, Reply, Cast, Info>) => void): () => void {
    const { calls, monitor } = this.#life;
    const end = monitor.trace((event: AnyTrace) => listener(event as TraceEvent<Request, Reply, Cast, Info>));
    calls.onAnswer = (failed, answer) => {
      monitor.answered(failed, answer);
    };
    return () => {
      end();
      if (!monitor.tracing) calls.onAnswer = undefined;
    };
  }

  /** Counts since the start, and the distributions of batch sizes and durations. */
  statistics(): BatchServerStatistics {
    const { loop, calls, config, status, monitor } = this.#life;
    const { sizes, durations, counts } = monitor;
    return {
      name: config.name,
      status,
      limit: loop.limit.size,
      batches: sizes.count,
      ops: counts.handled,
      accepted: loop.mailbox.accepted,
      ...counts,
      pending: loop.pending,
      unanswered: calls.size,
      sizes: distribution(sizes),
      durations: distribution(durations),
    };
  }

  #between<T>(done: Deferred<T>, run: () => void): void {
    const fail = (error: unknown): void => {
      done.reject(error);
    };
    if (this.#life.over) fail(this.#life.stoppedError());
    else this.#life.loop.between({ run, fail });
  }
}

function distribution(histogram: Histogram): Distribution {
  const { count, max, mean } = histogram;
  const min = count === 0 ? 0 : histogram.min;
  const quantile = (q: number): number => histogram.quantile(q);
  return { count, min, max, mean, p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) };
}
