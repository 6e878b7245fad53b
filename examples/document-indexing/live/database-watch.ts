import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Row } from '../database.js';
import { reasonOf } from '../printable.js';
import { isPermanent } from '../sql-state.js';

/** Milliseconds between two looks at a database that is away. */
const LOOK_EVERY = 500;

/** A database, and whether it answers. It is asked again after a query failed, which may have been the query's fault. */
export class DatabaseWatch implements Database {
  readonly #database: Database;
  readonly #listeners = new Set<() => void>();
  /** Why it does not answer. */
  #trouble: string | undefined;
  #looking = false;
  #closed = false;

  constructor(database: Database) {
    this.#database = database;
  }

  get name(): string {
    return this.#database.name;
  }

  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Called when it goes away and when it is back. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  async query(sql: string, parameters?: readonly unknown[]): Promise<readonly Row[]> {
    try {
      return await this.#database.query(sql, parameters);
    } catch (error) {
      if (!isPermanent(error)) void this.#look();
      throw error;
    }
  }

  /**
   * Asks until it is answered, or refused for good; for what has to be done, and changes nothing when it is done twice.
   */
  async patiently<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        signal.throwIfAborted();
        if (this.#closed || isPermanent(error)) throw error;
        await sleep(LOOK_EVERY, undefined, { signal });
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#database.close();
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    while (!this.#closed) {
      const trouble = await this.#database.query('SELECT 1').then(
        () => undefined,
        (error: unknown) => reasonOf(error),
      );
      if (trouble !== this.#trouble) {
        this.#trouble = trouble;
        for (const listener of this.#listeners) listener();
      }
      if (trouble === undefined) break;
      await sleep(LOOK_EVERY, undefined, { ref: false });
    }
    this.#looking = false;
  }
}
