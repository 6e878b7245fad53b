import { Alarm, type Clock, systemClock } from '../core/clock.js';
import { Fifo } from '../core/deque.js';
import { checkWait, checkVerbOptions } from '../options/verbs.js';
import { optionsError } from '../options/check.js';

/** Milliseconds, `Infinity`, or a moment of the server's clock; one that has passed looks once. */
export type Wait = number | { readonly at: number };

/** How a request was answered. */
export type Answer<Reply> =
  { readonly kind: 'reply'; readonly reply: Reply } | { readonly kind: 'error'; readonly error: unknown };

export type Labelled<Reply, Label> = Answer<Reply> & { readonly label: Label };

interface Timeout {
  readonly kind: 'timeout';
}

interface None {
  readonly kind: 'none';
}

interface NoRequest {
  readonly kind: 'noRequest';
}

const TIMEOUT: Timeout = Object.freeze({ kind: 'timeout' });
const NONE: None = Object.freeze({ kind: 'none' });
const NO_REQUEST: NoRequest = Object.freeze({ kind: 'noRequest' });

/** The order in which requests were answered, whatever their servers. */
let answers = 0;

/** The part of a call that is needed here. */
interface Sent {
  leave(): unknown;
}

type Send<Reply> = (resolve: (reply: Reply) => void, reject: (error: unknown) => void) => Sent;

/** A request under way. */
class Pending<Reply> {
  answer: Answer<Reply> | undefined;
  /** Whether it was the first, the second, … to be answered. */
  order = 0;
  abandoned = false;
  /** Told when it is answered or abandoned. */
  readonly listeners = new Set<() => void>();
  readonly #sent: Sent;

  constructor(
    readonly clock: Clock,
    send: Send<Reply>,
  ) {
    this.#sent = send(
      (reply) => {
        this.#settle({ kind: 'reply', reply });
      },
      (error) => {
        this.#settle({ kind: 'error', error });
      },
    );
  }

  abandon(): void {
    if (this.answer !== undefined || this.abandoned) return;
    this.#sent.leave();
    this.abandoned = true;
    this.#tell();
  }

  #settle(answer: Answer<Reply>): void {
    this.answer = answer;
    this.order = answers++;
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.listeners]) listener();
  }
}

/** Lets this file look behind an id. */
let pendingOf: <Reply>(id: RequestId<Reply>) => Pending<Reply>;

/** A request whose answer is looked for later. Its promises never reject. */
export class RequestId<Reply> {
  readonly #pending: Pending<Reply>;

  static {
    pendingOf = (id) => id.#pending;
  }

  /** Made by `sendRequest`. */
  constructor(clock: Clock, send: Send<Reply>) {
    this.#pending = new Pending(clock, send);
  }

  /** Waits for the answer; after a timeout the request lives on. By default it waits for ever. */
  wait(timeout: Wait = Infinity): Promise<Answer<Reply> | Timeout> {
    return this.#wait(timeout, () => TIMEOUT);
  }

  /** Waits for the answer; after a timeout the request is abandoned, and a late reply is dropped. */
  receive(timeout: Wait = Infinity): Promise<Answer<Reply> | Timeout> {
    return this.#wait(timeout, () => {
      this.#pending.abandon();
      return TIMEOUT;
    });
  }

  /** Looks without waiting. */
  check(): Answer<Reply> | None {
    return this.#pending.answer ?? NONE;
  }

  #wait(timeout: Wait, late: () => Timeout): Promise<Answer<Reply> | Timeout> {
    const pending = this.#pending;
    const look = (): Answer<Reply> | Timeout | undefined => pending.answer ?? (pending.abandoned ? TIMEOUT : undefined);
    return waitFor(look, pending.listeners, deadlineOf(timeout, pending.clock), pending.clock, late);
  }
}

interface Member<Label> {
  label: Label;
  forget: () => void;
}

/** Requests of any servers, to wait for whichever is answered first. */
export class RequestCollection<Reply, Label = unknown> {
  readonly #members = new Map<RequestId<Reply>, Member<Label>>();
  /** Answered and not told yet, in the order of the answers unless `#unordered`. */
  readonly #answered = new Fifo<RequestId<Reply>>();
  #unordered = false;
  /** Members whose answer can still come. */
  #open = 0;
  #clock: Clock = systemClock;
  readonly #listeners = new Set<() => void>();

  get size(): number {
    return this.#members.size;
  }

  *entries(): IterableIterator<[id: RequestId<Reply>, label: Label]> {
    for (const [id, { label }] of this.#members) yield [id, label];
  }

  /** Labels need not differ. Throws `OptionsError` if the id is a member already. `{ at }` is by the clock of the last id. */
  add(id: RequestId<Reply>, label: Label): this {
    if (!(id instanceof RequestId)) throw optionsError('RequestCollection.add', 'id', 'what sendRequest returned', id);
    if (this.#members.has(id)) throw optionsError('RequestCollection.add', 'id', 'an id that is not in it', 'this one');
    const pending = pendingOf(id);
    this.#clock = pending.clock;
    const listen = (): void => {
      pending.listeners.delete(listen);
      this.#open--;
      if (pending.answer !== undefined) this.#answered.push(id);
      this.#tell();
    };
    this.#members.set(id, { label, forget: () => pending.listeners.delete(listen) });
    this.#open++;
    if (pending.answer === undefined && !pending.abandoned) pending.listeners.add(listen);
    else {
      this.#unordered = true;
      listen();
    }
    return this;
  }

  /**
   * Waits for the first answer that was not told yet, and takes its request out unless `delete` is `false`. By default it
   * waits for ever, and then gives up (as on an empty collection) once no answer can come any more.
   */
  wait(
    timeout: Wait = Infinity,
    options?: { delete?: boolean },
  ): Promise<Labelled<Reply, Label> | Timeout | NoRequest> {
    return this.#wait(timeout, options, () => TIMEOUT);
  }

  /** As `wait`, but a timeout abandons all requests and empties the collection. */
  receive(
    timeout: Wait = Infinity,
    options?: { delete?: boolean },
  ): Promise<Labelled<Reply, Label> | Timeout | NoRequest> {
    return this.#wait(timeout, options, () => {
      for (const [id, { forget }] of this.#members) {
        forget();
        pendingOf(id).abandon();
      }
      this.#members.clear();
      this.#answered.take(Infinity);
      this.#open = 0;
      this.#tell();
      return TIMEOUT;
    });
  }

  /** Looks without waiting. */
  check(options?: { delete?: boolean }): Labelled<Reply, Label> | None | NoRequest {
    checkVerbOptions('check', options);
    return this.#look(options?.delete ?? true) ?? (this.size === 0 ? NO_REQUEST : NONE);
  }

  #wait(
    timeout: Wait,
    options: { delete?: boolean } | undefined,
    late: () => Timeout,
  ): Promise<Labelled<Reply, Label> | Timeout | NoRequest> {
    checkVerbOptions('wait', options);
    const deadline = deadlineOf(timeout, this.#clock);
    const look = (): Labelled<Reply, Label> | NoRequest | undefined => {
      const found = this.#look(options?.delete ?? true);
      const inVain = this.size === 0 || (this.#open === 0 && deadline === Infinity);
      return found ?? (inVain ? NO_REQUEST : undefined);
    };
    return waitFor(look, this.#listeners, deadline, this.#clock, late);
  }

  #look(remove: boolean): Labelled<Reply, Label> | undefined {
    if (this.#unordered) {
      const inOrder = this.#answered.take(Infinity).sort((a, b) => pendingOf(a).order - pendingOf(b).order);
      for (const id of inOrder) this.#answered.push(id);
      this.#unordered = false;
    }
    const id = this.#answered.shift();
    const member = id && this.#members.get(id);
    if (id === undefined || member === undefined) return undefined;
    if (remove) {
      this.#members.delete(id);
      if (this.size === 0) this.#tell();
    }
    return { ...(pendingOf(id).answer as Answer<Reply>), label: member.label }; // only answered ones are in the list
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function deadlineOf(timeout: Wait, clock: Clock): number {
  checkWait(timeout);
  return typeof timeout === 'number' ? clock.now() + timeout : timeout.at;
}

/** What `look` finds, now or when a listener is told, or at the deadline what `late` makes of it. */
function waitFor<Found, Late>(
  look: () => Found | undefined,
  listeners: Set<() => void>,
  deadline: number,
  clock: Clock,
  late: () => Late,
): Promise<Found | Late> {
  const found = look();
  if (found !== undefined) return Promise.resolve(found);
  if (deadline <= clock.now()) return Promise.resolve(late());
  return new Promise((resolve) => {
    const alarm = new Alarm(
      clock,
      () => {
        listeners.delete(wake);
        resolve(late());
      },
      false,
    );
    let looking = false;
    const wake = (): void => {
      // Looking may tell all of them again.
      if (looking || !listeners.has(wake)) return;
      looking = true;
      const news = look();
      looking = false;
      if (news === undefined) return;
      listeners.delete(wake);
      alarm.set(Infinity);
      resolve(news);
    };
    listeners.add(wake);
    alarm.set(deadline);
  });
}
