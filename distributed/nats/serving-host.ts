import { nuid, type Msg, type Subscription } from '@nats-io/transport-node';
import { BatchError, OptionsError, type DispatchOptions } from '../../src/index.js';
import { checkName, checkNumber, checkOptions, largestMessage, listen, type NatsConnection } from './connection.js';
import { answerOf, encodeAnswer, type Settled } from './answers.js';
import { Mailer } from './mailer.js';
import { inMessages, pack, subjects, type Answer, type Control, type HostCard, type Request } from './wire.js';

/** The methods of a serving that a host calls; every `BatchServing` has them. */
export interface HostedServing {
  /** Executes many values, each with an outcome of its own. */
  settleMany(values: readonly never[], options?: DispatchOptions): Promise<Settled[]>;
  /** Executes many values, and yields results and the events of hooks. */
  stream(
    values: readonly never[],
    options?: DispatchOptions,
  ): AsyncIterable<{ type: string; output?: unknown; payload?: unknown }>;
  /** Adds a listener; returns a function that removes it. */
  on(event: 'executed', listener: (info: { size: number }) => void): () => void;
}

/** Options of a `ServingHost`. */
export interface ServingHostOptions {
  /** The connection of `connect()` in `@nats-io/transport-node`. It stays open when the host is closed. */
  connection: NatsConnection;
  /** Callers use the same name. */
  name: string;
  /** Executes the values. It stays open when the host is closed; when it is closed itself, the host closes at the next call. */
  serving: HostedServing;
  /** Unique among the hosts. @default a random one */
  id?: string | undefined;
  /** A host with twice the weight gets twice the work. @default 1 */
  weight?: number | undefined;
  /** Values accepted and not answered; callers send the excess to other hosts, or wait. @default off */
  maxPending?: number | undefined;
}

interface Job {
  readonly abort: AbortController;
}

/** Milliseconds between two announcements. */
const announceEvery = 500;

/** Offers a `BatchServing` to callers on other machines. */
export class ServingHost {
  /** The option `id`. */
  readonly id: string;
  readonly #connection: NatsConnection;
  readonly #name: string;
  readonly #serving: HostedServing;
  readonly #weight: number;
  readonly #maxPending: number;
  readonly #replies: Mailer<Answer>;
  readonly #jobs = new Map<string, Job>();
  readonly #subscriptions: Subscription[] = [];
  #pending = 0;
  #batchSize = 1;
  #draining = false;
  #timer: ReturnType<typeof setInterval> | undefined;
  #idle: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  /** @throws OptionsError */
  constructor(input: ServingHostOptions) {
    checkOptions('ServingHost', input, ['connection', 'name', 'serving', 'id', 'weight', 'maxPending']);
    const { connection, name, serving, id = nuid.next(), weight = 1, maxPending = Infinity } = input;
    if (typeof (serving as Partial<HostedServing> | null)?.settleMany !== 'function')
      throw new OptionsError('ServingHost: serving must be a BatchServing', 'serving', 'a BatchServing', serving);
    this.#name = name;
    this.id = checkName('ServingHost', id, 'id');
    checkNumber('ServingHost', 'maxPending', maxPending, 1);
    if (!(weight > 0))
      throw new OptionsError('ServingHost: weight must be above 0', 'weight', 'a number above 0', weight);
    this.#connection = connection;
    this.#serving = serving;
    this.#weight = weight;
    this.#maxPending = maxPending;
    this.#replies = new Mailer((subject, list) => this.#reply(subject, list));
    serving.on('executed', ({ size }) => {
      this.#batchSize = Math.max(this.#batchSize, size);
    });
  }

  /** Values accepted and not answered. */
  get pending(): number {
    return this.#pending;
  }

  /** Resolves when callers can reach it. */
  async open(): Promise<void> {
    const name = this.#name;
    const on = (subject: string, callback: (message: Msg) => void, queue?: string): void => {
      this.#subscriptions.push(listen(this.#connection, subject, callback, queue));
    };
    on(subjects.queue(name), (message) => this.#takeFromQueue(message), 'hosts');
    on(subjects.host(name, this.id), (message) => this.#take(message));
    on(subjects.control(name, this.id), (message) => this.#control(message));
    on(subjects.who(name), (message) => message.respond(pack(this.#card())));
    await this.#connection.flush();
    this.#announce();
    this.#timer = setInterval(() => this.#announce(), announceEvery);
  }

  /**
   * Takes no more calls, and answers those that it has. After `timeout` (30,000 ms by default) it leaves the others
   * unanswered, and their callers send them to other hosts. The serving stays open.
   */
  close(options: { timeout?: number } = {}): Promise<void> {
    this.#closed ??= this.#close(options);
    return this.#closed;
  }

  async #close({ timeout = 30_000 }: { timeout?: number }): Promise<void> {
    this.#draining = true;
    this.#announce();
    this.#subscriptions[0]?.unsubscribe();
    if (this.#jobs.size > 0) await this.#idleOr(timeout);
    clearInterval(this.#timer);
    this.#replies.flush();
    if (!this.#connection.isClosed()) await this.#connection.flush();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    for (const { abort } of this.#jobs.values()) abort.abort(new BatchError('the host was closed'));
  }

  async #idleOr(timeout: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeout);
      this.#idle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #card(): HostCard {
    return {
      id: this.id,
      pending: this.#pending,
      weight: this.#weight,
      batchSize: this.#batchSize,
      room: Number.isFinite(this.#maxPending) ? this.#maxPending : 0,
      draining: this.#draining,
    };
  }

  #announce(): void {
    if (!this.#connection.isClosed()) this.#connection.publish(subjects.announcements(this.#name), pack(this.#card()));
  }

  #takeFromQueue(message: Msg): void {
    // At once: it names the host that the caller can probe.
    this.#reply(message.reply ?? '', [{ type: 'accepted' }]);
    this.#take(message);
  }

  #take(message: Msg): void {
    const to = message.reply ?? '';
    for (const request of message.json<Request[]>()) {
      if (this.#draining || this.#pending + request.values.length > this.#maxPending) {
        this.#replies.add(to, { type: 'busy', id: request.id });
        continue;
      }
      void this.#execute(request, to);
    }
  }

  async #execute({ id, values, left, hooks }: Request, to: string): Promise<void> {
    const abort = new AbortController();
    this.#jobs.set(id, { abort });
    this.#pending += values.length;
    const options = { signal: abort.signal, timeout: left > 0 ? left : undefined };
    let outcomes: Settled[] | undefined;
    try {
      const work = hooks ? undefined : this.#serving.settleMany(values as never[], options);
      if (!(await isRefused(work ?? this.#serving.settleMany([]))))
        outcomes = await (work ?? this.#stream(id, values, options, to));
    } catch (reason) {
      outcomes = values.map(() => ({ status: 'rejected', reason }));
    }
    this.#jobs.delete(id);
    this.#pending -= values.length;
    if (outcomes === undefined) this.#leave(id, to);
    else if (!abort.signal.aborted) this.#answer(id, outcomes, to);
    if (this.#jobs.size === 0) this.#idle?.();
  }

  /** The serving was closed: the caller takes another host, and no others come. */
  #leave(id: string, to: string): void {
    this.#replies.add(to, { type: 'busy', id });
    this.close().catch(() => undefined); // its own callers get the failure
  }

  /** One value at a time, so that the events of hooks can be sent to that value's caller. */
  async #stream(id: string, values: readonly unknown[], options: DispatchOptions, to: string): Promise<Settled[]> {
    const outcomes: Settled[] = [];
    for (const value of values) {
      try {
        for await (const event of this.#serving.stream([value as never], options)) {
          if (event.type !== 'batch') {
            this.#replies.add(to, { type: 'event', id, hook: event.type, payload: event.payload ?? null });
            continue;
          }
          for (const result of event.output as unknown[]) outcomes.push({ status: 'fulfilled', value: result });
        }
      } catch (reason) {
        outcomes.push({ status: 'rejected', reason });
      }
    }
    return outcomes;
  }

  #answer(id: string, outcomes: readonly Settled[], to: string): void {
    this.#replies.add(to, answerOf(id, outcomes));
  }

  #reply(to: string, list: readonly Answer[]): void {
    if (this.#connection.isClosed() || to === '') return;
    const largest = largestMessage(this.#connection);
    const entries = list.flatMap((answer) => encodeAnswer(answer, largest / 2));
    const head = JSON.stringify({ host: this.id, pending: this.#pending, batchSize: this.#batchSize });
    for (const message of inMessages(entries, largest)) {
      this.#connection.publish(to, `${head.slice(0, -1)},"list":[${message.join(',')}]}`);
    }
  }

  #control(message: Msg): void {
    const { cancel = [], probe } = message.json<Control>();
    for (const id of cancel) this.#jobs.get(id)?.abort.abort(new BatchError('its caller has left'));
    if (probe === undefined) return;
    // Before it: an answer that is under way must not look like a call that is missing.
    this.#replies.flush();
    message.respond(pack({ missing: probe.filter((id) => !this.#jobs.has(id)), pending: this.#pending }));
  }
}

/** Whether the serving is closed. It then rejects at once, and nothing of the call is executed. */
function isRefused(call: Promise<unknown>): Promise<boolean> {
  const closed = call.then(
    () => false,
    (error: unknown) => (error as Partial<BatchError> | null)?.code === 'ERR_BATCH_CLOSED',
  );
  return Promise.race([closed, Promise.resolve().then(() => false)]);
}
