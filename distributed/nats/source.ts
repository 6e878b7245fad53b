import type { ConsumerMessages, JsMsg } from '@nats-io/jetstream';
import { OptionsError } from '../../src/index.js';
import type { BadItem, Delivery, Source } from '../contract.js';
import { unpackFrame } from '../frames.js';
import { sleep } from './connection.js';
import { partitionOf } from './streams.js';

/** The part of the log that a source uses. */
export interface SourceLog {
  readonly ackWait: number;
  readonly stream: string;
  /** Fetches at most `room` messages, making the consumer if it is not there. */
  fetch(room: number): Promise<ConsumerMessages>;
  isClosed(): boolean;
  ack(reply: string): Promise<boolean>;
  requeue(items: readonly unknown[], id: string, partition: number): Promise<unknown>;
  bury(item: unknown, id: string, error: unknown, from: Origin): Promise<unknown>;
}

/** The message that a dead letter was in. */
export interface Origin {
  readonly attempt: number;
  readonly seq: number;
  readonly partition: number;
}

/** After an error of the server, milliseconds until the next try. */
const pauseAfterError = 200;

/**
 * Pulls ahead of its reader, and extends the leases of what waits here: the reader may be held up for long by a sink that
 * is down, and a message whose lease has ended meanwhile would be delivered twice.
 */
export class JetStreamSource<Item> implements Source<Item> {
  readonly #log: SourceLog;
  readonly #prefetch: number;
  readonly #fetched: JsMsg[] = [];
  #messages: ConsumerMessages | undefined;
  #stopped = false;
  #ended: { error?: unknown } | undefined;
  #wakeReader: (() => void) | undefined;
  #wakePump: (() => void) | undefined;

  constructor(log: SourceLog, prefetch: number) {
    this.#log = log;
    this.#prefetch = prefetch;
  }

  get leaseTime(): number {
    return this.#log.ackWait;
  }

  stop(): void {
    this.#stopped = true;
    this.#messages?.stop();
    this.#wakePump?.();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Delivery<Item>> {
    void this.#pump();
    const lease = setInterval(() => {
      for (const message of this.#fetched) message.working();
    }, this.#log.ackWait / 3);
    try {
      for (;;) {
        const message = this.#fetched.shift();
        if (message !== undefined) {
          if (this.#fetched.length <= this.#prefetch / 2) this.#wakePump?.();
          yield new JetStreamDelivery<Item>(this.#log, message);
        } else if (this.#ended !== undefined) {
          if ('error' in this.#ended) throw this.#ended.error;
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wakeReader = resolve;
          });
        }
      }
    } finally {
      clearInterval(lease);
      this.stop();
      // Its reader left in the middle: what it has not seen is for others.
      for (const message of this.#fetched.splice(0)) message.nak();
    }
  }

  async #pump(): Promise<void> {
    this.#ended = await this.#pull().then(
      () => ({}),
      (error: unknown) => ({ error }),
    );
    this.#wakeReader?.();
  }

  async #pull(): Promise<void> {
    while (!this.#isStopped()) {
      if (this.#fetched.length > this.#prefetch / 2) {
        await new Promise<void>((resolve) => {
          this.#wakePump = resolve;
        });
        continue;
      }
      try {
        this.#messages = await this.#log.fetch(this.#prefetch - this.#fetched.length);
        if (this.#isStopped()) this.#messages.stop();
        for await (const message of this.#messages) {
          this.#fetched.push(message);
          this.#wakeReader?.();
        }
      } catch (error) {
        if (error instanceof OptionsError) throw error;
        if (this.#log.isClosed() && !this.#isStopped()) throw error;
        await sleep(pauseAfterError);
      }
    }
  }

  /** A call, because the field changes while the loop waits. */
  #isStopped(): boolean {
    return this.#stopped;
  }
}

class JetStreamDelivery<Item> implements Delivery<Item> {
  readonly id: string;
  readonly items: readonly (Item | BadItem)[];
  readonly attempt: number;
  readonly #log: SourceLog;
  readonly #message: JsMsg;

  constructor(log: SourceLog, message: JsMsg) {
    this.#log = log;
    this.#message = message;
    const id = message.headers?.get('Nats-Msg-Id');
    this.id = id === undefined || id === '' ? `${log.stream}:${message.seq}` : id;
    this.attempt = message.info.deliveryCount;
    this.items = unpackFrame<Item>(message.data);
  }

  extend(): void {
    this.#message.working();
  }

  ack(): Promise<boolean> {
    // Every message of a stream has it; only the type leaves it out.
    return this.#log.ack((this.#message as JsMsg & { reply: string }).reply);
  }

  retry(delay = 0): void {
    this.#message.nak(delay);
  }

  requeue(items: readonly (Item | BadItem)[], key: string): Promise<unknown> {
    return this.#log.requeue(items, `${this.id}#${key}`, partitionOf(this.#message));
  }

  bury(item: Item | BadItem, key: string, error: unknown): Promise<unknown> {
    const id = this.items.length === 1 ? this.id : `${this.id}#${key}`;
    const { seq } = this.#message;
    return this.#log.bury(item, id, error, { attempt: this.attempt, seq, partition: partitionOf(this.#message) });
  }
}
