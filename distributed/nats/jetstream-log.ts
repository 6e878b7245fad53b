import {
  jetstream,
  jetstreamManager,
  type Consumer,
  type JetStreamClient,
  type JetStreamManager,
} from '@nats-io/jetstream';
import { OptionsError, TooLargeError } from '../../src/index.js';
import type { DurableLog, Source } from '../contract.js';
import { errorText, packFrame } from '../frames.js';
import { Acks } from './acks.js';
import { checkNumber, checkOptions, headersOf, largestMessage, sleep, type NatsConnection } from './connection.js';
import { redrive } from './redrive.js';
import { JetStreamSource, type SourceLog } from './source.js';
import { checkConsumer, consumerOf, ensureConsumer, ensureStreams, isTransient, streamOf } from './streams.js';

/** Options of a `JetStreamLog`. A new stream is created with them; an existing one must have the same values. */
export interface JetStreamLogOptions {
  /** The connection of `connect()` in `@nats-io/transport-node`. It stays open when the log is closed. */
  connection: NatsConnection;
  /** The streams are `BP_<name>` and `BP_<name>_DLQ`. */
  name: string;
  /** Servers that store each message. @default 1 for a new stream */
  replicas?: number | undefined;
  /** Subjects that keep their order, one reader each. @default 1 for a new stream */
  partitions?: number | undefined;
  /** Bytes in the stream; a full one refuses, and producers wait. @default off for a new stream */
  maxBytes?: number | undefined;
  /** Milliseconds in which a message with the same id is stored once. @default 120,000 for a new stream */
  duplicateWindow?: number | undefined;
  /**
   * Milliseconds until a message that is neither acknowledged nor extended is delivered to another consumer. Below 10,000, the
   * election of a new leader makes duplicates.
   *
   * @default 30,000
   */
  ackWait?: number | undefined;
}

const OPTIONS = ['connection', 'name', 'replicas', 'partitions', 'maxBytes', 'duplicateWindow', 'ackWait'];
/** Milliseconds that `open` waits for a cluster to have a leader. */
const openTimeout = 30_000;
/** Bytes left for subject and headers. */
const headroom = 4096;
/** Milliseconds between two looks at what a replicated stream has kept although it is acknowledged. */
const trimInterval = 30_000;

/** A log on NATS JetStream: a work queue of frames, and a stream of dead letters beside it. */
export class JetStreamLog<Item> implements DurableLog<Item> {
  /** Bytes that one message may have. */
  readonly largest: number;
  readonly #connection: NatsConnection;
  readonly #options: JetStreamLogOptions;
  readonly #ackWait: number;
  readonly #client: JetStreamClient;
  readonly #acks: Acks;
  readonly #sources = new Set<JetStreamSource<Item>>();
  #manager: JetStreamManager | undefined;
  #opened: Promise<void> | undefined;
  #trimmed = performance.now();

  /** @throws OptionsError */
  constructor(options: JetStreamLogOptions) {
    checkOptions('JetStreamLog', options, OPTIONS);
    checkNumber('JetStreamLog', 'replicas', options.replicas, 1);
    checkNumber('JetStreamLog', 'partitions', options.partitions, 1);
    checkNumber('JetStreamLog', 'maxBytes', options.maxBytes, -1);
    checkNumber('JetStreamLog', 'duplicateWindow', options.duplicateWindow, 100);
    checkNumber('JetStreamLog', 'ackWait', options.ackWait, 100);
    this.#options = options;
    this.#connection = options.connection;
    this.#ackWait = options.ackWait ?? 30_000;
    this.largest = largestMessage(this.#connection) - headroom;
    this.#client = jetstream(this.#connection, { timeout: 3000 });
    this.#acks = new Acks(this.#connection, this.#ackWait);
  }

  /** Makes the streams, or compares those that are there. @throws OptionsError naming the field that differs */
  open(): Promise<void> {
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined; // the next use tries again
      throw error;
    });
    return this.#opened;
  }

  async #open(): Promise<void> {
    const { name, replicas, partitions, maxBytes, duplicateWindow, ackWait } = this.#options;
    const until = performance.now() + openTimeout;
    for (;;) {
      try {
        const manager = await this.#management();
        await ensureStreams(manager, { name, replicas, partitions, maxBytes, duplicateWindow });
        if (ackWait !== undefined) await checkConsumer(manager, name, undefined, ackWait);
        return;
      } catch (error) {
        if (!isTransient(error) || this.#connection.isClosed() || performance.now() > until) throw error;
        await sleep(200);
      }
    }
  }

  async #management(): Promise<JetStreamManager> {
    this.#manager ??= await jetstreamManager(this.#connection, { timeout: 3000, checkAPI: false });
    return this.#manager;
  }

  /** Stops the sources. The connection is left as it is. */
  close(): Promise<void> {
    for (const source of this.#sources) source.stop();
    this.#sources.clear();
    return Promise.resolve();
  }

  /**
   * Resolves when the items are stored. A repetition with the same `id` is stored once, and has `duplicate: true`.
   *
   * @throws TooLargeError when the items take more bytes than one message may have, `ItemError` when one is no JSON
   */
  async append(
    items: readonly Item[],
    id: string,
    { partition = 0 }: { partition?: number } = {},
  ): Promise<{ duplicate: boolean }> {
    this.#checkPartition(partition);
    await this.open();
    return this.#append(items, id, partition);
  }

  async #append(items: readonly unknown[], id: string, partition: number): Promise<{ duplicate: boolean }> {
    const frame = packFrame(items);
    if (frame.length > this.largest) {
      throw new TooLargeError(`a message of ${frame.length} bytes, and the server takes ${this.largest}`);
    }
    const { duplicate } = await this.#client.publish(`bp.${this.#options.name}.${partition}`, frame, {
      msgID: id,
      headers: headersOf({ 'Bp-Count': items.length }),
    });
    return { duplicate };
  }

  /** With a partition, one message at a time and in order; without, whatever comes, from all of them. */
  source({ partition, prefetch = 64 }: { partition?: number; prefetch?: number } = {}): Source<Item> {
    if (partition !== undefined) this.#checkPartition(partition);
    checkNumber('source', 'prefetch', prefetch, 1);
    const source = new JetStreamSource<Item>(this.#sourceLog(partition), partition === undefined ? prefetch : 1);
    this.#sources.add(source);
    return source;
  }

  #sourceLog(partition: number | undefined): SourceLog {
    const { name } = this.#options;
    let consumer: Promise<Consumer> | undefined;
    return {
      ackWait: this.#ackWait,
      stream: streamOf(name),
      fetch: async (room) => {
        consumer ??= this.#consumer(partition);
        try {
          return await (await consumer).fetch({ max_messages: room, expires: 5000, idle_heartbeat: 1000 });
        } catch (error) {
          consumer = undefined; // it may have been deleted
          throw error;
        } finally {
          this.#trimSometimes(partition);
        }
      },
      isClosed: () => this.#connection.isClosed(),
      ack: (reply) => this.#acks.add(reply),
      requeue: (items, id, from) => this.#append(items, id, from),
      bury: (item, id, error, { attempt, seq, partition: from }) =>
        this.#client.publish(`bpdlq.${name}.${from}`, packFrame([item]), {
          msgID: `dead-${id}`,
          headers: headersOf({
            'Bp-Id': id,
            'Bp-Error': errorText(error),
            'Bp-Attempts': attempt,
            'Bp-Origin-Seq': seq,
          }),
        }),
    };
  }

  async #consumer(partition: number | undefined): Promise<Consumer> {
    await this.open();
    const { name } = this.#options;
    await ensureConsumer(await this.#management(), name, partition, this.#ackWait);
    return this.#client.consumers.get(streamOf(name), consumerOf(partition));
  }

  #trimSometimes(partition: number | undefined): void {
    const { replicas = 1 } = this.#options;
    if (replicas === 1 || partition !== undefined || performance.now() - this.#trimmed < trimInterval) return;
    // It is tried again in a while.
    this.trim().catch(() => undefined);
  }

  #checkPartition(partition: number): void {
    const { partitions = 1 } = this.#options;
    if (Number.isInteger(partition) && partition >= 0 && partition < partitions) return;
    const expected = `an integer from 0 to ${partitions - 1}`;
    throw new OptionsError(`partition must be ${expected}, and is ${partition}`, 'partition', expected, partition);
  }

  /**
   * Removes what is acknowledged and still stored, which a replicated stream may keep after its leader has changed
   * (nats-server #6673), and which would fill a bounded stream. Sources of a stream with `replicas` do it twice a minute.
   */
  async trim(): Promise<number> {
    this.#trimmed = performance.now();
    const manager = await this.#management();
    const { ack_floor } = await manager.consumers.info(streamOf(this.#options.name), consumerOf(undefined));
    if (ack_floor.stream_seq === 0) return 0;
    return (await manager.streams.purge(streamOf(this.#options.name), { seq: ack_floor.stream_seq + 1 })).purged;
  }

  /** Moves at most `max` of the present dead letters back into the log. Resolves to their number. */
  async redrive(max = Infinity): Promise<number> {
    await this.open();
    return redrive(await this.#management(), this.#client, this.#options.name, max);
  }
}
