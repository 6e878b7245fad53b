// A random life of a data loader, as a list of lines: the batches with their keys, and the outcome of each call in
// the order in which they settled. Two implementations that do the same give the same lines.
import type { BatchLoadFn, CacheMap, Options } from 'dataloader';
import { type Random, random } from '../../src/testing.js';

export interface Loader {
  load(key: Key): Promise<unknown>;
  loadMany(keys: ArrayLike<Key>): Promise<unknown[]>;
  prime(key: Key, value: unknown): unknown;
  clear(key: Key): unknown;
  clearAll(): unknown;
}
export type LoaderClass = new (load: BatchLoadFn<Key, unknown>, options?: Options<Key, unknown, unknown>) => Loader;
type Key = unknown;
type Act = () => void;
type LifeOptions = Options<Key, unknown, unknown>;

const SHARED = [{ id: 1 }, { id: 2 }, { id: 3 }];

export async function life(Loader: LoaderClass, seed: number): Promise<string[]> {
  return new Life(Loader, random(seed)).run();
}

class Life {
  readonly #lines: string[] = [];
  readonly #manual: Act[] = [];
  readonly #loaders: Loader[] = [];
  readonly #waiting = new Set<string>();
  readonly #dice: Random;
  #calls = 0;
  #batches = 0;
  #budget = 60;
  /** A verb of a loader is being called. */
  #calling = false;
  /** From then on nothing fails or is put off, so that everything settles. */
  #ending = false;

  constructor(Loader: LoaderClass, dice: Random) {
    this.#dice = dice;
    const count = dice.chance(0.3) ? 2 : 1;
    for (let i = 0; i < count; i++) {
      const options = this.#options();
      const load = (keys: readonly Key[]): never => this.#answer(i, keys) as never; // also what no loader may answer
      this.#loaders.push(options === undefined ? new Loader(load) : new Loader(load, options));
    }
  }

  async run(): Promise<string[]> {
    const steps = 4 + this.#dice.int(12);
    for (let i = 0; i < steps; i++) {
      this.#act();
      await this.#hop();
    }
    this.#ending = true;
    for (let quiet = 0; quiet < 8; quiet++) {
      if (this.#manual.length > 0) quiet = 0;
      for (const dispatch of this.#manual.splice(0)) dispatch();
      await immediate();
    }
    return [...this.#lines, `waiting: ${[...this.#waiting].join(' ')}`];
  }

  #options(): LifeOptions | undefined {
    const dice = this.#dice;
    if (dice.chance(0.2)) return undefined;
    const options: LifeOptions = {};
    if (dice.chance(0.1)) options.batch = dice.chance(0.5);
    if (dice.chance(0.4)) options.maxBatchSize = dice.pick([1, 2, 2, 3, 2.5, 5, Infinity]);
    if (dice.chance(0.1)) options.cache = dice.chance(0.5);
    if (dice.chance(0.3)) options.cacheMap = dice.pick([null, this.#cacheMap(0), this.#cacheMap(0.1)]);
    if (dice.chance(0.3)) options.cacheKeyFn = this.#cacheKeyFn(dice.pick([0, 0.1]));
    if (dice.chance(0.3)) options.batchScheduleFn = this.#schedule();
    return options;
  }

  /** One that throws now and then, or forgets what it was given first. */
  #cacheMap(chance: number): CacheMap<unknown, Promise<unknown>> {
    const map = new Map<unknown, Promise<unknown>>();
    const fail = (what: string): void => {
      if (!this.#ending && this.#dice.chance(chance)) throw new Error(`${what} failed`);
    };
    return {
      get: (key) => {
        fail('get');
        return map.get(key);
      },
      set: (key, value) => {
        value.catch(() => undefined); // its caller never gets it if this throws
        fail('set');
        map.set(key, value);
        const [first] = map.keys();
        if (map.size > 4) map.delete(first);
      },
      delete: (key) => map.delete(key), // a throw while a batch fails ends the process with dataloader
      clear: () => {
        fail('clear');
        map.clear();
      },
    };
  }

  #cacheKeyFn(chance: number): (key: Key) => unknown {
    return (key) => {
      if (this.#calling && this.#dice.chance(chance)) throw new Error('cacheKeyFn failed'); // only there: see `delete`
      return typeof key === 'object' ? (key as { id: number }).id : key;
    };
  }

  #schedule(): (dispatch: Act) => void {
    return this.#dice.pick<(dispatch: Act) => void>([
      (dispatch) => setImmediate(dispatch),
      (dispatch) => {
        process.nextTick(dispatch);
      },
      (dispatch) => void Promise.resolve().then(dispatch),
      (dispatch) => this.#manual.push(dispatch),
      (dispatch) => this.#manual.push(dispatch),
    ]);
  }

  async #hop(): Promise<void> {
    const hops = this.#dice.int(4);
    for (let i = 0; i <= hops; i++) {
      const kind = this.#dice.int(5);
      if (kind === 0) return; // in the same frame, if it is the first
      if (kind <= 2) await Promise.resolve();
      else if (kind === 3) await new Promise<void>((resolve) => process.nextTick(resolve));
      else await immediate();
    }
  }

  #key(): Key {
    const dice = this.#dice;
    if (dice.chance(0.03)) return dice.pick([null, undefined]);
    if (dice.chance(0.05)) return dice.pick([NaN, '', 0, -0, 'key']);
    if (dice.chance(0.1)) return dice.pick(SHARED);
    if (dice.chance(0.05)) return { id: dice.int(4) };
    return dice.int(7);
  }

  #keys(): ArrayLike<Key> {
    const dice = this.#dice;
    if (dice.chance(0.05)) return dice.pick<unknown>([undefined, 5, 'ab', { length: 2 }, { length: 0 }, {}]) as Key[];
    const keys = Array.from({ length: dice.int(5) }, () => this.#key());
    return dice.chance(0.1) ? Object.assign({ length: keys.length }, keys) : keys;
  }

  #act(): void {
    if (this.#budget-- <= 0) return;
    const dice = this.#dice;
    const loader = dice.pick(this.#loaders);
    const kind = dice.int(20);
    if (kind < 10) this.#call('load', () => loader.load(this.#key()));
    else if (kind < 13) this.#call('loadMany', () => loader.loadMany(this.#keys()));
    else if (kind < 15) this.#change(() => loader.prime(this.#key(), this.#primed()));
    else if (kind < 17) this.#change(() => loader.clear(this.#key()));
    else if (kind < 18) this.#change(() => loader.clearAll());
    else for (const dispatch of this.#manual.splice(0, 1 + dice.int(2))) dispatch();
    if (dice.chance(0.3)) this.#act();
  }

  #primed(): unknown {
    const dice = this.#dice;
    const value = dice.int(100);
    const failed = Promise.reject(new Error('primed promise'));
    failed.catch(() => undefined);
    return dice.pick<unknown>([value, value, new Error('primed'), Promise.resolve(value), failed, undefined]);
  }

  #change(work: () => unknown): void {
    try {
      this.#calling = true;
      work();
    } catch (error) {
      this.#lines.push(`threw ${String(error)}`);
    } finally {
      this.#calling = false;
    }
  }

  #call(verb: string, work: () => Promise<unknown>): void {
    const name = `${verb} ${this.#calls++}`;
    const settled = (outcome: string): void => {
      this.#waiting.delete(name);
      this.#lines.push(`${name}: ${outcome}`);
      if (this.#dice.chance(0.4)) this.#act();
    };
    try {
      this.#calling = true;
      const promise = work();
      this.#waiting.add(name);
      promise.then(
        (value) => {
          settled(show(value));
        },
        (error: unknown) => {
          settled(`rejected with ${show(error)}`);
        },
      );
    } catch (error) {
      this.#lines.push(`${name} threw ${String(error)}`);
    } finally {
      this.#calling = false;
    }
  }

  #answer(loader: number, keys: readonly Key[]): unknown {
    const dice = this.#dice;
    const batch = this.#batches++;
    this.#lines.push(`batch ${batch} of loader ${loader}: ${show(keys)}`);
    if (dice.chance(0.2)) this.#act();
    const fault = this.#ending ? 1 : dice.next();
    if (fault < 0.04) throw new Error(`batch ${batch} threw`);
    if (fault < 0.07) return dice.pick<unknown>([undefined, 5, [...keys]]);
    return this.#values(`batch ${batch}`, loader, [...keys], fault);
  }

  async #values(name: string, loader: number, keys: readonly Key[], fault: number): Promise<unknown> {
    if (!this.#ending && this.#dice.chance(0.7)) await this.#hop();
    if (this.#dice.chance(0.15) && this.#budget-- > 0) {
      const other = this.#dice.pick(this.#loaders);
      await other.load(100 + loader).catch((error: unknown) => {
        this.#lines.push(`${name} got ${show(error)}`);
      });
    }
    if (fault < 0.14) throw new Error(`${name} failed`);
    if (fault < 0.18) return this.#dice.pick<unknown>([null, 7, [], 'ab', { length: keys.length }]);
    const values = keys.map((key) => this.#value(key));
    return this.#dice.chance(0.1) ? Object.assign({ length: values.length }, values) : values;
  }

  #value(key: Key): unknown {
    const dice = this.#dice;
    const value = `value of ${show(key)}`;
    if (dice.chance(0.1)) return new Error(`no ${show(key)}`);
    if (dice.chance(0.03)) return undefined;
    if (dice.chance(0.03)) return dice.pick([Promise.resolve(value), this.#slowly(value)]);
    return value;
  }

  async #slowly(value: string): Promise<string> {
    await immediate();
    return value;
  }
}

function immediate(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  if (value instanceof Error) return `<${String(value)}>`;
  if (typeof value === 'object' && value !== null) return JSON.stringify(value);
  return Object.is(value, -0) ? '-0' : String(value);
}
