import { createChannel, createSession } from 'better-sse';
import type { Channel, Session } from 'better-sse';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Events, Job } from '../protocol.js';
import type { BatchLog } from './batch-log.js';
import { securityHeaders } from './guards.js';

/** Milliseconds between two messages about the same job, and between two about batches. */
const TELL_EVERY = 100;
/** Bytes that wait for a client which does not read. It is cut off, and connects again to a fresh picture. */
const MAX_WAITING = 4 * 1024 * 1024;

interface Listener {
  users: ReadonlySet<string>;
  response: ServerResponse;
}

/** What a page gets when it connects. */
export type Picture = Pick<Events, 'jobs' | 'database' | 'simulation'>;

/** The events of every page: the jobs of its users, and the batches of all users. */
export class EventStream {
  readonly #batches: BatchLog;
  readonly #channel: Channel<Record<string, unknown>, Listener> = createChannel();
  readonly #changed = new Map<string, Job>();
  readonly #current: (id: string) => Job | undefined;
  readonly #timer: NodeJS.Timeout;
  /** Rows that have been reported. */
  #rows = 0;

  constructor(batches: BatchLog, current: (id: string) => Job | undefined) {
    this.#batches = batches;
    this.#current = current;
    this.#timer = setInterval(() => {
      this.#tell();
    }, TELL_EVERY);
  }

  async join(
    request: IncomingMessage,
    response: ServerResponse,
    users: ReadonlySet<string>,
    picture: () => Picture,
  ): Promise<void> {
    const options = { headers: securityHeaders, keepAlive: 10_000, retry: 1_000, state: { users, response } };
    const session: Session<Listener> = await createSession(request, response, options);
    // In the same turn, so that nothing falls between the picture and what changes in it.
    const { jobs, database, simulation } = picture();
    session.push(jobs, 'jobs');
    session.push(this.#batches.history(), 'history');
    session.push(simulation, 'simulation');
    session.push(database, 'database');
    this.#channel.register(session);
  }

  changed(job: Job): void {
    this.#changed.set(job.id, job);
  }

  database(state: Events['database']): void {
    this.#channel.broadcast(state, 'database');
  }

  simulation(state: Events['simulation']): void {
    this.#channel.broadcast(state, 'simulation');
  }

  close(): void {
    clearInterval(this.#timer);
    this.#tell();
    for (const { state } of this.#channel.activeSessions) state.response.end();
  }

  #tell(): void {
    const news = this.#batches.take();
    if (news.batches.length > 0 || news.totals.rows !== this.#rows) this.#channel.broadcast(news, 'batch');
    this.#rows = news.totals.rows;
    for (const { id, user } of this.#changed.values()) {
      const job = this.#current(id);
      if (job !== undefined) this.#channel.broadcast(job, 'job', { filter: ({ state }) => state.users.has(user) });
    }
    this.#changed.clear();
    for (const { state } of this.#channel.activeSessions) {
      if (state.response.writableLength > MAX_WAITING) state.response.destroy();
    }
  }
}
