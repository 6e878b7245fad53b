// A `DurableLog` on Postgres: rows are leased with SKIP LOCKED. `db.query` is that of `pg` or of PGlite.
import {
  errorText,
  packFrame,
  unpackFrame,
  type Delivery,
  type DurableLog,
  type Source,
} from 'batch-please/distributed';

interface Row { seq: number; id: string; body: string; attempt: number } // prettier-ignore
export interface Queryable {
  query(sql: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
}
const text = (items: readonly unknown[]): string => new TextDecoder().decode(packFrame(items));
const later = (n: number): string => `now() + $${n} * interval '1 millisecond'`;

export class PostgresLog<Item> implements DurableLog<Item> {
  readonly largest = 16_000_000;
  constructor(readonly db: Queryable, readonly name: string, readonly lease = 30_000, readonly poll = 50) {} // prettier-ignore

  async open(): Promise<void> {
    await this.db
      .query(`create table if not exists bp_frames (seq bigserial primary key, queue text, id text, body text,
      attempt int default 0, visible timestamptz default now(), unique (queue, id))`);
    await this.db.query(`create table if not exists bp_dead (seq bigserial primary key, queue text, id text, body text,
      error text, unique (queue, id))`);
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
  append(items: readonly Item[], id: string): Promise<{ duplicate: boolean }> {
    return this.insert(text(items), id);
  }
  /** A frame that was acknowledged is forgotten: keep done ids in a table if producers may repeat later than that. */
  async insert(body: string, id: string): Promise<{ duplicate: boolean }> {
    const sql = 'insert into bp_frames (queue, id, body) values ($1, $2, $3) on conflict do nothing returning seq';
    return { duplicate: (await this.db.query(sql, [this.name, id, body])).rows.length === 0 };
  }
  async redrive(max = 1_000_000): Promise<number> {
    const sql = 'select seq, id, body from bp_dead where queue = $1 order by seq limit $2';
    const { rows } = await this.db.query(sql, [this.name, max]);
    for (const { seq, id, body } of rows as Row[]) {
      await this.insert(body, `${id}~${seq}`);
      await this.db.query('delete from bp_dead where seq = $1', [seq]);
    }
    return rows.length;
  }
  source({ prefetch = 16 } = {}): Source<Item> {
    let stopped = false;
    const take = `update bp_frames set attempt = attempt + 1, visible = ${later(2)} where seq in (select seq from bp_frames
      where queue = $1 and visible <= now() order by seq limit $3 for update skip locked) returning seq, id, body, attempt`;
    const deliveries = async function* (log: PostgresLog<Item>): AsyncGenerator<Delivery<Item>> {
      while (!stopped) {
        const { rows } = await log.db.query(take, [log.name, log.lease, prefetch]);
        for (const row of rows as Row[]) yield log.delivery(row);
        if (rows.length === 0) await new Promise((resolve) => setTimeout(resolve, log.poll));
      }
    };
    return { leaseTime: this.lease, stop: () => void (stopped = true), [Symbol.asyncIterator]: () => deliveries(this) };
  }
  delivery({ seq, id, body, attempt }: Row): Delivery<Item> {
    const mine = 'where seq = $1 and attempt = $2'; // not any more, when the lease has ended
    const move = (delay: number): Promise<unknown> => this.db.query(`update bp_frames set visible = ${later(3)} ${mine}`, [seq, attempt, delay]); // prettier-ignore
    const items = unpackFrame<Item>(body);
    const bury = 'insert into bp_dead (queue, id, body, error) values ($1, $2, $3, $4) on conflict do nothing';
    return {
      id,
      items,
      attempt, // prettier-ignore
      ack: async () =>
        (await this.db.query(`delete from bp_frames ${mine} returning seq`, [seq, attempt])).rows.length > 0,
      retry: (delay = 0) => move(delay),
      extend: () => void move(this.lease).catch(() => undefined), // it is extended again soon
      requeue: (some, key) => this.insert(text(some), `${id}#${key}`),
      bury: (item, key, error) => this.db.query(bury, [this.name, items.length === 1 ? id : `${id}#${key}`, text([item]), errorText(error)]), // prettier-ignore
    };
  }
}
