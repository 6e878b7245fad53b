import { type Awaitable, hush } from '../core/promise.js';

/** Where an entry was refused. */
export type Stage = 'weigh' | 'open' | 'add' | 'closed';

/** When the promise of an awaited add resolves. */
export type Until = 'joined' | 'stored' | 'delivered';

/** The hooks and facts that the queue needs. None but `open`, `add`, `addAll` and `weigh` may throw. */
export interface AppendHooks<Entry, State> {
  open(): Awaitable<State>;
  add(state: State, entry: Entry): Awaitable<State | undefined>;
  /** Instead of `add`: adds a group in order. An error in a slot refuses that entry, a throw all of them. */
  addAll?: ((state: State, entries: readonly Entry[]) => Awaitable<readonly unknown[] | undefined>) | undefined;
  weigh?: ((entry: Entry) => number) | undefined;
  /** `shouldFlush`: is the open batch due? */
  due?: (() => boolean) | undefined;
  /** The entry will never join; answers with the error for its caller. */
  refused(entry: Entry, error: unknown, stage: Stage, handled: boolean): Error;
  /** The batch can fail in part, so each entry has its own promise. */
  readonly splits: boolean;
}

/** Throws unless it is a weight. */
export function checkWeight(weight: unknown): number {
  if (typeof weight === 'number' && weight >= 0 && weight < Infinity) return weight;
  hush(weight);
  throw new TypeError(`expected a weight from 0 up, given ${String(weight)}`);
}

/** Whether there is such a hook. Never throws: a getter that does fails when it is called. */
export function isGiven<Hooks>(hooks: Hooks, name: keyof Hooks): boolean {
  try {
    return hooks[name] != null;
  } catch {
    return true;
  }
}

/** The answer of a hook. @throws TypeError for a generator: nothing of its function has run */
export function ran<T>(hook: string, answer: T): T {
  if (!isGenerator(answer)) return answer;
  throw new TypeError(`${hook} returned a generator, which nobody runs; an async function is run`);
}

function isGenerator(answer: unknown): boolean {
  if (typeof answer !== 'object' || answer === null) return false;
  try {
    return /^\[object (Async)?Generator\]$/.test(Object.prototype.toString.call(answer));
  } catch {
    return false; // a getter of the user's
  }
}
