import {
  AckPolicy,
  DiscardPolicy,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  type ConsumerConfig,
  type JetStreamManager,
  type StreamConfig,
} from '@nats-io/jetstream';
import { OptionsError } from '../../src/index.js';

/** Nanoseconds in a millisecond: the server's unit of time. */
const NS = 1_000_000;

/** The requirements of a log. A field that is `undefined` takes its default in a new stream, and is not compared in an existing one. */
export interface StreamWish {
  readonly name: string;
  readonly replicas: number | undefined;
  readonly partitions: number | undefined;
  readonly maxBytes: number | undefined;
  readonly duplicateWindow: number | undefined;
}

export const streamOf = (name: string): string => `BP_${name}`;
export const deadOf = (name: string): string => `BP_${name}_DLQ`;
export const consumerOf = (partition: number | undefined): string =>
  partition === undefined ? 'collect' : `collect-${partition}`;

/** The partition that a message of the log, or a dead letter, belongs to. */
export const partitionOf = ({ subject }: { readonly subject: string }): number =>
  Number(subject.slice(subject.lastIndexOf('.') + 1));

const found = { streamInUse: 10058, streamMissing: 10059, consumerMissing: 10014, consumerExists: 10148 };
/** While a cluster starts it has no peers to place a stream on; with `replicas` on a single server it never will. */
const noPeersYet = 10005;
const notClustered = 10074;

export function errorCode(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}

/** Whether waiting may help: a leader is being elected, or the server is away. */
export function isTransient(error: unknown): boolean {
  if (error instanceof OptionsError) return false;
  if (!(error instanceof JetStreamApiError)) return true;
  if (error.code === noPeersYet) return true;
  return error.status >= 500 && error.code !== notClustered;
}

/** Makes the stream and the one of its dead letters, or compares those that are there. @throws OptionsError */
export async function ensureStreams(manager: JetStreamManager, wish: StreamWish): Promise<void> {
  const { name } = wish;
  const shared = {
    num_replicas: wish.replicas ?? 1,
    storage: StorageType.File,
    duplicate_window: (wish.duplicateWindow ?? 120_000) * NS,
  };
  const stream = {
    ...shared,
    name: streamOf(name),
    subjects: [`bp.${name}.*`],
    retention: RetentionPolicy.Workqueue,
    discard: DiscardPolicy.New,
    max_bytes: wish.maxBytes ?? -1,
    metadata: { bp_partitions: String(wish.partitions ?? 1) },
  };
  const dead = { ...shared, name: deadOf(name), subjects: [`bpdlq.${name}.*`], retention: RetentionPolicy.Limits };
  await ensureStream(manager, stream, wish);
  await ensureStream(manager, dead, { ...wish, partitions: undefined, maxBytes: undefined });
}

async function ensureStream(
  manager: JetStreamManager,
  config: Partial<StreamConfig> & { name: string },
  wish: StreamWish,
): Promise<void> {
  let existing = await infoOf(manager, config.name);
  if (existing === undefined) {
    try {
      await manager.streams.add(config);
      return;
    } catch (error) {
      // Another process was faster, with another configuration.
      if (errorCode(error) !== found.streamInUse) throw error;
      existing = await infoOf(manager, config.name);
      if (existing === undefined) throw error;
    }
  }
  compare(config, existing, wish);
}

async function infoOf(manager: JetStreamManager, name: string): Promise<StreamConfig | undefined> {
  try {
    return (await manager.streams.info(name)).config;
  } catch (error) {
    if (errorCode(error) === found.streamMissing) return undefined;
    throw error;
  }
}

type Comparable = string | number | readonly string[] | undefined;

/** @throws OptionsError that names the first field in which the stream differs from what the options ask for. */
function compare(config: Partial<StreamConfig> & { name: string }, existing: StreamConfig, wish: StreamWish): void {
  const differs = (option: string, field: string, asked: Comparable, has: Comparable): void => {
    if (asked === undefined || has === undefined || String(asked) === String(has)) return;
    const message = `the stream ${config.name} exists with ${field} ${String(has)}, and ${option} asks for ${String(asked)}`;
    throw new OptionsError(message, option, `${field} ${String(has)}`, asked);
  };
  differs('name', 'subjects', config.subjects, existing.subjects);
  differs('name', 'retention', config.retention, existing.retention);
  differs('name', 'discard', config.discard, existing.discard);
  differs('replicas', 'num_replicas', wish.replicas, existing.num_replicas);
  differs('maxBytes', 'max_bytes', wish.maxBytes, existing.max_bytes);
  const window = existing.duplicate_window / NS;
  differs('duplicateWindow', 'duplicate_window (ms)', wish.duplicateWindow, window);
  differs('partitions', 'partitions', wish.partitions, existing.metadata?.['bp_partitions']);
}

/**
 * Compares the consumer that is there. `ackWait` is a property of the consumer, which all its processes share.
 *
 * @throws OptionsError
 */
export async function checkConsumer(
  manager: JetStreamManager,
  name: string,
  partition: number | undefined,
  ackWait: number,
): Promise<boolean> {
  const durable = consumerOf(partition);
  let config: ConsumerConfig;
  try {
    config = (await manager.consumers.info(streamOf(name), durable)).config;
  } catch (error) {
    if (errorCode(error) === found.consumerMissing) return false;
    throw error;
  }
  const has = (config.ack_wait ?? 0) / NS;
  if (has !== ackWait) {
    const message = `the consumer ${durable} of ${streamOf(name)} exists with ack_wait ${has} ms, and ackWait asks for ${ackWait}`;
    throw new OptionsError(message, 'ackWait', `${has}`, ackWait);
  }
  return true;
}

/** Makes the consumer that all processes share. With a partition it hands out one message at a time, which keeps order. */
export async function ensureConsumer(
  manager: JetStreamManager,
  name: string,
  partition: number | undefined,
  ackWait: number,
): Promise<void> {
  if (await checkConsumer(manager, name, partition, ackWait)) return;
  try {
    await manager.consumers.add(streamOf(name), {
      durable_name: consumerOf(partition),
      ack_policy: AckPolicy.Explicit,
      ack_wait: ackWait * NS,
      max_deliver: -1,
      max_ack_pending: partition === undefined ? 1000 : 1,
      ...(partition === undefined ? {} : { filter_subject: `bp.${name}.${partition}` }),
    });
  } catch (error) {
    if (errorCode(error) !== found.consumerExists) throw error;
    await checkConsumer(manager, name, partition, ackWait);
  }
}
