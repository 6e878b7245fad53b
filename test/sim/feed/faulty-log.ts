import type { Delivery, DurableLog, Source } from '../../../distributed/index.js';
import type { Random, TestClock } from '../../../src/testing.js';

interface Message {
  readonly id: string;
  readonly items: readonly number[];
  attempt: number;
  /** From when it may be delivered; each delivery begins a lease. */
  visible: number;
}

/** A process that reads the log. One that was killed can do nothing any more, whatever its code still tries. */
export interface Reader {
  alive: boolean;
}

export interface Faults {
  /** A lease that is over at once: the message is delivered again while it is being worked on. */
  readonly expired: number;
  /** An ack that never reached the log, and one whose confirmation was lost. */
  readonly ackLost: number;
  readonly confirmationLost: number;
  /** The log refuses a call; a requeue may be stored all the same. */
  readonly away: number;
}

/** A log in memory that redelivers, lets leases end, loses acks and reorders, as one seed says. */
export class FaultyLog {
  readonly messages = new Map<string, Message>();
  /** Ids of dead letters, and the item that each has. */
  readonly dead = new Map<string, number>();
  readonly leaseTime = 1000;
  /** Faults by which a frame comes again of which a part may have been stored. */
  repeats = 0;
  readonly #ids = new Set<string>();

  constructor(
    readonly clock: TestClock,
    readonly rng: Random,
    public faults: Faults,
  ) {}

  append(id: string, items: readonly number[]): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    this.messages.set(id, { id, items, attempt: 0, visible: this.clock.now() });
    return true;
  }

  /** As `reader` sees it. */
  openFor(reader: Reader): DurableLog<number> {
    return {
      largest: 1_000_000,
      open: async () => {},
      close: async () => {},
      redrive: async () => 0,
      append: async (items, id) => ({ duplicate: !this.append(id, items) }),
      source: () => this.#source(reader),
    };
  }

  #source(reader: Reader): Source<number> {
    let stopped = false;
    const deliveries = async function* (log: FaultyLog): AsyncGenerator<Delivery<number>> {
      while (!stopped && reader.alive) {
        const ready = [...log.messages.values()].filter(({ visible }) => visible <= log.clock.now());
        if (ready.length > 0) yield log.#deliver(log.rng.pick(ready), reader);
        else await new Promise<void>((resolve) => void log.clock.setTimer(resolve, 5 + log.rng.int(10)));
      }
    };
    return {
      leaseTime: this.leaseTime,
      stop: () => void (stopped = true),
      [Symbol.asyncIterator]: () => deliveries(this),
    };
  }

  #deliver(message: Message, reader: Reader): Delivery<number> {
    const { clock, rng, faults } = this;
    message.attempt++;
    const { id, items, attempt } = message;
    const expired = rng.chance(faults.expired);
    if (expired) this.repeats++;
    message.visible = clock.now() + (expired ? 0 : this.leaseTime);
    const holds = (): boolean => reader.alive && this.messages.get(id)?.attempt === attempt;
    const tell = (store: () => void): void => {
      const fails = !reader.alive || rng.chance(this.faults.away);
      if (fails) this.repeats++;
      if (reader.alive && (!fails || rng.chance(0.5))) store();
      if (fails) throw new Error('the log is away');
    };
    return {
      id,
      items,
      attempt,
      ack: async () => {
        if (!reader.alive) return false;
        if (rng.chance(this.faults.ackLost)) {
          this.repeats++;
          return false;
        }
        this.messages.delete(id);
        return !rng.chance(this.faults.confirmationLost);
      },
      retry: (delay = 0) => {
        if (holds()) message.visible = clock.now() + delay;
      },
      extend: () => {
        if (holds()) message.visible = clock.now() + this.leaseTime;
      },
      requeue: async (some, key) => tell(() => this.append(`${id}#${key}`, some as number[])),
      bury: async (item, key) => tell(() => this.dead.set(items.length === 1 ? id : `${id}#${key}`, item as number)),
    };
  }
}
