// A `DurableLog` on Postgres: rows are leased with SKIP LOCKED. `query` is that of `pg`, or of PGlite.
import { errorText, packFrame, unpackFrame } from 'batch-please/distributed';
import type { Delivery, DurableLog, Source } from 'batch-please/distributed';

const frames = `create table if not exists bp_frames (seq bigserial primary key, queue text, id text, body text,
  attempt int default 0, visible timestamptz default now(), unique (queue, id))`;
const dead = `create table if not exists bp_dead (seq bigserial primary key, queue text, id text, body text,
  error text, unique (queue, id))`;
// An acknowledged frame is deleted, and its id with it: a producer's repetition after that is stored again.
const insert = 'insert into bp_frames (queue, id, body) values ($1, $2, $3) on conflict do nothing returning seq';
const take = `update bp_frames set attempt = attempt + 1, visible = now() + $2 * interval '1 ms' where seq in (select seq
  from bp_frames where queue = $1 and visible <= now() order by seq limit $3 for update skip locked) returning *`;
const mine = 'where seq = $1 and attempt = $2'; // No other consumer has had the row since.
const lease = `update bp_frames set visible = now() + $3 * interval '1 ms' ${mine}`;
const remove = `delete from bp_frames ${mine} returning seq`;
const bury = 'insert into bp_dead (queue, id, body, error) values ($1, $2, $3, $4) on conflict do nothing';
const revive = `with moved as (delete from bp_dead where seq in (select seq from bp_dead where queue = $1 order by seq limit
  $2) returning *) insert into bp_frames (queue, id, body) select queue, id || '~' || seq, body from moved returning seq`;

type Row = Record<'seq' | 'id' | 'body', string> & { attempt: number };
type Query = (sql: string, values?: unknown[]) => Promise<{ rows: unknown[] }>;
const text = (items: readonly unknown[]): string => new TextDecoder().decode(packFrame(items));

export class PostgresLog<Item> implements DurableLog<Item> {
  readonly largest = 16_000_000;
  constructor(readonly query: Query, readonly name: string, readonly ackWait = 30_000, readonly poll = 50) {} // prettier-ignore

  async open(): Promise<void> {
    for (const table of [frames, dead]) await this.query(table);
  }
  async close(): Promise<void> {}
  async append(items: readonly Item[], id: string): Promise<{ duplicate: boolean }> {
    return { duplicate: (await this.query(insert, [this.name, id, text(items)])).rows.length === 0 };
  }
  async redrive(max = 1_000_000): Promise<number> {
    return (await this.query(revive, [this.name, max])).rows.length;
  }
  source({ prefetch = 16 } = {}): Source<Item> {
    let stopped = false;
    const pull = async function* (log: PostgresLog<Item>): AsyncGenerator<Delivery<Item>> {
      while (!stopped) {
        const { rows } = await log.query(take, [log.name, log.ackWait, prefetch]);
        for (const row of rows as Row[]) yield log.delivery(row);
        if (rows.length === 0) await new Promise((resolve) => setTimeout(resolve, log.poll));
      }
    };
    return { leaseTime: this.ackWait, stop: () => void (stopped = true), [Symbol.asyncIterator]: () => pull(this) };
  }
  delivery({ seq, id, body, attempt }: Row): Delivery<Item> {
    const extend = (delay: number): Promise<unknown> => this.query(lease, [seq, attempt, delay]);
    return {
      ...{ id, attempt, items: unpackFrame<Item>(body) },
      ack: async () => (await this.query(remove, [seq, attempt])).rows.length > 0,
      retry: (delay = 0) => extend(delay),
      extend: () => void extend(this.ackWait).catch(() => undefined), // It is extended again soon.
      requeue: (items, key) => this.append(items as Item[], `${id}#${key}`),
      bury: (item, key, error) => this.query(bury, [this.name, `${id}#${key}`, text([item]), errorText(error)]),
    };
  }
}
