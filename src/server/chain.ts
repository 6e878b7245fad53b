import type { BatchServerHooks, Next } from './types.js';
import type { AnyOp } from './mailbox.js';
import { checkFirst, checkNext } from './results.js';
import { MissingHookError } from '../errors.js';
import { type Awaitable, adopt, isThenable } from '../core/promise.js';
import { type Clock, endOfTurn } from '../core/clock.js';

export type AnyHooks = BatchServerHooks<unknown, unknown, unknown, unknown, unknown>;

/** Why the server has to stop: the reason that a hook returned, or what it threw. */
export interface End {
  readonly reason: unknown;
  readonly failed: boolean;
}

/** A continue chain lets the event loop turn after so many calls, so that an endless one blocks nothing else. */
const CALLS_PER_TURN = 100;

/**
 * Calls `handleBatch` and `handleContinue`, follows the continue chain, and keeps the state.
 *
 * The results are an `End` if the server has to stop, else `undefined`; they never throw or reject. A hook that returns no
 * promise costs no microtask.
 */
export class Chain {
  state: unknown;
  /** The server has given up on the hook that runs: its result is ignored. */
  over = false;
  /** A hook asked for garbage collection. */
  #collects = false;
  readonly #hooks: AnyHooks;
  readonly #name: string;
  readonly #clock: Clock;

  constructor(hooks: AnyHooks, name: string, clock: Clock) {
    this.#hooks = hooks;
    this.#name = name;
    this.#clock = clock;
  }

  handle(ops: AnyOp[]): Awaitable<End | undefined> {
    let next: unknown;
    try {
      next = this.#hooks.handleBatch(ops, this.state);
    } catch (error) {
      return failure(error);
    }
    return next === undefined ? undefined : this.#follow(next, 'handleBatch', 0);
  }

  /** Calls `handleContinue`, as the link of the chain with that number. */
  continue(term: unknown, link = 0): Awaitable<End | undefined> {
    if (this.over) return undefined;
    if ((link + 1) % CALLS_PER_TURN !== 0) return this.#continueNow(term, link + 1);
    return new Promise<void>((resolve) => {
      endOfTurn(this.#clock, resolve);
    }).then(() => this.#continueNow(term, link + 1), failure);
  }

  /** Takes over what a hook returned; returns the term of its continue chain. */
  adopt({ state, continue: term, garbageCollect }: Next<unknown>): unknown {
    if (state !== undefined) this.state = state;
    if (garbageCollect === true) this.#collects = true;
    return term;
  }

  /** Collects garbage if a hook asked for it and Node runs with `--expose-gc`. */
  collectGarbage(): void {
    if (!this.#collects) return;
    this.#collects = false;
    const { gc } = globalThis as { gc?: () => void };
    try {
      if (typeof gc === 'function') gc();
    } catch {
      // A global that is no real `gc` collects nothing.
    }
  }

  #continueNow(term: unknown, links: number): Awaitable<End | undefined> {
    if (this.over) return undefined;
    let next: unknown;
    try {
      if (this.#hooks.handleContinue === undefined) throw new MissingHookError('handleContinue', this.#name, false);
      next = this.#hooks.handleContinue(term, this.state);
    } catch (error) {
      return failure(error);
    }
    return next === undefined ? undefined : this.#follow(next, 'handleContinue', links);
  }

  #follow(next: unknown, hook: string, links: number): Awaitable<End | undefined> {
    if (!isThenable(next)) return this.#apply(next, hook, links);
    return adopt(next).then((settled) => this.#apply(settled, hook, links), failure);
  }

  #apply(given: unknown, hook: string, links: number): Awaitable<End | undefined> {
    if (this.over || given === undefined) return undefined;
    let next: Next<unknown>;
    try {
      next = checkNext(given, hook);
    } catch (error) {
      return failure(error);
    }
    const term = this.adopt(next);
    if (next.stop !== undefined) return { reason: next.stop, failed: false };
    return term === undefined ? undefined : this.continue(term, links);
  }
}

/** Calls `init`. Rejects with what it threw, or if a required hook is missing. */
export async function callInit(hooks: AnyHooks, name: string, args: unknown): Promise<Next<unknown> | 'ignore'> {
  for (const hook of ['init', 'handleBatch'] as const) {
    if (typeof hooks[hook] !== 'function') throw new MissingHookError(hook, name, false);
  }
  return checkFirst(await hooks.init(args));
}

function failure(error: unknown): End {
  return { reason: error, failed: true };
}
