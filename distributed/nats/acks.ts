import type { NatsConnection } from '@nats-io/transport-node';
import { sleep } from './connection.js';

/** An ack that is not confirmed is repeated at least so long: a cluster elects a new leader within seconds. */
const leastPatience = 30_000;

interface Group {
  readonly replies: string[];
  readonly confirmed: Promise<boolean>;
  readonly resolve: (confirmed: boolean) => void;
}

/**
 * Confirmed acknowledgements. Those of one turn of the event loop are sent together, and only the last asks for an answer:
 * one connection keeps their order, so its answer stands for all before it.
 *
 * They are published by hand, because `JsMsg.ackAck()` does nothing when it is called again after a timeout, and an ack
 * that got lost in an election would become a duplicate.
 */
export class Acks {
  #group: Group | undefined;

  constructor(
    private readonly connection: NatsConnection,
    private readonly ackWait: number,
  ) {}

  /** Resolves to whether the server has confirmed it. */
  add(reply: string): Promise<boolean> {
    this.#group ??= this.#begin();
    this.#group.replies.push(reply);
    return this.#group.confirmed;
  }

  #begin(): Group {
    let resolve: (confirmed: boolean) => void = () => undefined;
    const confirmed = new Promise<boolean>((done) => {
      resolve = done;
    });
    queueMicrotask(() => {
      const group = this.#group;
      this.#group = undefined;
      if (group !== undefined) void this.#send(group);
    });
    return { replies: [], confirmed, resolve };
  }

  async #send({ replies, resolve }: Group): Promise<void> {
    const until = performance.now() + Math.max(this.ackWait, leastPatience);
    for (let failed = 0; performance.now() < until; failed++) {
      try {
        for (const reply of replies.slice(0, -1)) this.connection.publish(reply, '+ACK');
        await this.connection.request(replies.at(-1) ?? '', '+ACK', { timeout: 1500 });
        resolve(true);
        return;
      } catch {
        if (this.connection.isClosed()) break;
        await sleep(Math.min(1000, 50 * 2 ** failed));
      }
    }
    resolve(false);
  }
}
