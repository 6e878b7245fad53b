import { createInbox, nuid, type Msg, type Subscription } from '@nats-io/transport-node';
import { ClosedError } from '../../src/index.js';
import { Call, type Waiting } from './call.js';
import { largestMessage, listen, type NatsConnection } from './connection.js';
import { HostLostError, NoHostError } from './errors.js';
import { Hosts, type Balance, type Host } from './hosts.js';
import { Mailer } from './mailer.js';
import { Probes } from './probes.js';
import { inMessages, pack, subjects, type Answers, type HostCard } from './wire.js';

export interface LinkOptions {
  readonly connection: NatsConnection;
  readonly name: string;
  readonly balance: Balance;
  readonly idempotent: boolean;
  readonly maxAttempts: number;
  readonly probeAfter: number;
  readonly probeTimeout: number;
}

/** A caller's calls under way: chooses hosts, sends, receives, and repeats what a lost host had. */
export class RemoteLink {
  readonly counts = { messages: 0, retries: 0, hostsLost: 0, busy: 0, cancelled: 0 };
  readonly hosts = new Hosts();
  readonly #options: LinkOptions;
  readonly #inbox = createInbox();
  readonly #calls = new Map<string, Call>();
  /** Calls that no host was found for. */
  readonly #waiting = new Set<Call>();
  readonly #mailer = new Mailer<Call>((subject, calls) => this.#send(subject, calls));
  readonly #subscriptions: Subscription[];
  readonly #probes: Probes;
  readonly #prefix = nuid.next();
  #count = 0;
  #ended: ClosedError | undefined;

  constructor(options: LinkOptions) {
    const { connection, name, probeAfter, probeTimeout } = options;
    this.#options = options;
    this.#subscriptions = [
      listen(connection, `${this.#inbox}.*`, (message) => this.#receive(message)),
      listen(connection, subjects.announcements(name), (message) => this.#heard(message.json())),
    ];
    this.#probes = new Probes(connection, name, probeAfter, probeTimeout, {
      hosts: this.hosts,
      queued: () => [...this.#calls.values()].filter(({ host, token }) => host === undefined && token !== undefined),
      lost: (host) => this.#lost(host),
      missing: (host, ids) => this.#missing(host, ids),
      unaccepted: (call) => this.#again(call, new NoHostError(`nobody has taken a call of '${name}'`)),
    });
    void connection.closed().then((error) => this.close(new ClosedError('its connection is closed', error)));
    this.#ask();
  }

  /** One outcome for each value, which is JSON already. Rejects when no caller waits any more, or no host answers. */
  execute(values: readonly string[], waiting: Waiting): Promise<unknown[]> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    if (waiting.signal.aborted) return Promise.reject(waiting.signal.reason);
    const id = this.#prefix + (this.#count++).toString(36);
    const call = new Call(id, values, waiting, () => {
      waiting.signal.removeEventListener('abort', left);
      this.#calls.delete(id);
      this.#waiting.delete(call);
      this.hosts.get(call.host)?.release(call);
      if (this.#calls.size === 0) this.#probes.stop();
    });
    const left = (): void => {
      const { host } = call;
      if (host !== undefined) this.#cancel(host, id);
      call.fail(waiting.signal.reason);
    };
    waiting.signal.addEventListener('abort', left);
    this.#calls.set(id, call);
    this.#probes.start();
    this.#place(call);
    return call.done;
  }

  close(error = new ClosedError('it was closed before an answer came')): void {
    this.#ended ??= error;
    for (const call of [...this.#calls.values()]) call.fail(error);
    this.#probes.stop();
    for (const subscription of this.#subscriptions.splice(0)) subscription.unsubscribe();
  }

  #cancel(host: string, id: string): void {
    const { connection, name } = this.#options;
    this.counts.cancelled++;
    if (!connection.isClosed()) connection.publish(subjects.control(name, host), pack({ cancel: [id] }));
  }

  /** Who is there? Hosts answer with their cards. */
  #ask(): void {
    const { connection, name } = this.#options;
    if (!connection.isClosed()) connection.publish(subjects.who(name), '', { reply: `${this.#inbox}.who` });
  }

  #place(call: Call, avoid?: string): void {
    const { balance, name } = this.#options;
    if (call.over) return;
    if (balance === 'queue') {
      this.#mailer.add(subjects.queue(name), call);
      return;
    }
    const host = this.hosts.choose(balance, call.values.length, avoid);
    if (host === undefined) {
      this.#wait(call);
      return;
    }
    call.host = host.card.id;
    host.take(call);
    this.#mailer.add(subjects.host(name, host.card.id), call);
  }

  /** No host is known: they may be starting. The first one that announces itself is taken at once. */
  #wait(call: Call): void {
    const { maxAttempts, name } = this.#options;
    if (++call.attempts > maxAttempts) {
      call.fail(new NoHostError(`no host serves '${name}'`));
      return;
    }
    this.#waiting.add(call);
    this.#ask();
    setTimeout(
      () => {
        if (this.#waiting.delete(call)) this.#place(call);
      },
      Math.min(2000, 25 * 2 ** call.attempts),
    );
  }

  #send(subject: string, all: readonly Call[]): void {
    const { connection } = this.#options;
    const calls = all.filter(({ over }) => !over);
    const encoded = new Map(calls.map((call) => [call.encode(), call]));
    for (const entries of inMessages([...encoded.keys()], largestMessage(connection))) {
      const token = `t${(this.#count++).toString(36)}`;
      const now = performance.now();
      for (const entry of entries) Object.assign(encoded.get(entry) ?? {}, { token, sentAt: now });
      this.counts.messages++;
      try {
        connection.publish(subject, `[${entries.join(',')}]`, { reply: `${this.#inbox}.${token}` });
      } catch (error) {
        for (const entry of entries) encoded.get(entry)?.fail(error); // closed
      }
    }
  }

  #heard(card: HostCard): void {
    this.hosts.heard(card);
    for (const call of [...this.#waiting]) {
      this.#waiting.delete(call);
      this.#place(call);
    }
  }

  #receive(message: Msg): void {
    const token = message.subject.slice(this.#inbox.length + 1);
    if (message.headers?.code === 503) {
      this.#undelivered(token);
      return;
    }
    if (token === 'who') {
      this.#heard(message.json());
      return;
    }
    const { host: id, pending, batchSize, list } = message.json<Answers>();
    const host = this.hosts.get(id);
    host?.reported({ ...host.card, pending, batchSize });
    for (const answer of list) {
      if (answer.type === 'accepted') {
        this.#accepted(token, id, host);
        continue;
      }
      const call = this.#calls.get(answer.id);
      // For a repeated call only its present host counts.
      if (call === undefined || (call.host !== id && call.host !== undefined)) continue;
      if (answer.type === 'results') {
        call.receive(answer);
        if (host !== undefined) host.answeredAt = host.heardAt;
      } else if (answer.type === 'event') call.waiting.event(answer.hook, answer.payload);
      else this.#busy(call);
    }
  }

  #accepted(token: string, id: string, host: Host | undefined): void {
    for (const call of this.#calls.values()) {
      if (call.token !== token || call.host !== undefined) continue;
      call.host = id;
      host?.take(call);
    }
  }

  /** The subject had no listener: the message was never delivered, and may be sent elsewhere in any case. */
  #undelivered(token: string): void {
    if (token === 'who') return;
    const calls = [...this.#calls.values()].filter((call) => call.token === token);
    const host = calls[0]?.host;
    for (const call of calls) this.#again(call, new NoHostError(`no host serves '${this.#options.name}'`), true);
    if (host !== undefined) this.#lost(host);
  }

  #busy(call: Call): void {
    this.counts.busy++;
    const avoid = call.host;
    this.#release(call);
    // Its caller's own bound or timeout ends the wait. The pause is not the same for all, so that they do not come back at once.
    const pause = Math.min(500, 5 * 2 ** Math.min(call.refusals++, 7)) * (0.5 + Math.random());
    setTimeout(() => this.#place(call, avoid), pause);
  }

  #release(call: Call): void {
    this.hosts.get(call.host)?.release(call);
    call.restart();
  }

  /** `undelivered`: the host has never seen it, so that repeating it repeats no work. */
  #again(call: Call, error: Error, undelivered = false): void {
    if (call.over) return;
    const avoid = call.host;
    this.#release(call);
    const mayRepeat = this.#options.idempotent || undelivered;
    if (!mayRepeat || ++call.attempts > this.#options.maxAttempts) {
      call.fail(error);
      return;
    }
    this.counts.retries++;
    // From the queue it may come to the same dead end at once; else there is another host, or `#wait` pauses.
    if (avoid === undefined) setTimeout(() => this.#place(call), Math.min(2000, 25 * 2 ** call.attempts));
    else this.#place(call, avoid);
  }

  #missing(host: string, ids: readonly string[]): void {
    for (const id of ids) {
      const call = this.#calls.get(id);
      if (call?.host === host) this.#again(call, new HostLostError(`host ${host} has lost a call`, host));
    }
  }

  #lost(id: string): void {
    if (this.hosts.delete(id)) this.counts.hostsLost++;
    for (const call of [...this.#calls.values()]) {
      if (call.host === id) this.#again(call, new HostLostError(`host ${id} is gone`, id));
    }
  }
}
