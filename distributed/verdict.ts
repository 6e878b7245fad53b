import { BadItem, type Delivery } from './contract.js';

/** An item of a delivery that was not delivered. */
export interface Failure {
  readonly index: number;
  readonly error: unknown;
  /**
   * `'bad'`: it can never be delivered (a line that is no JSON, an item that a hook refuses). `'returned'`: no attempt
   * (the batcher was closed, cleared or full). `'failed'`: the sink failed with it, perhaps because of another item.
   * `'takenBack'`: the sink failed with it while nothing else was delivered, and perhaps was down.
   */
  readonly kind: 'bad' | 'returned' | 'failed' | 'takenBack';
}

/** It has failed before, and is a single item: it is tried alone, so that it fails alone. */
export function isIsolated({ id, items, attempt }: Delivery<unknown>): boolean {
  return items.length === 1 && (attempt > 2 || isSuspect(id));
}

/** The fate of a delivery that is not delivered as a whole. */
export interface Verdict {
  readonly bury: readonly Failure[];
  /** Each becomes a message of its own. */
  readonly requeue: readonly { readonly indexes: readonly number[]; readonly key: string }[];
  /** The rest stays in this message, which is delivered again later; else the message is acknowledged. */
  readonly retry: boolean;
}

/** The feed's knowledge about the sink. */
export interface Evidence {
  readonly maxDeliveries: number;
  /** Something was delivered since this delivery was taken. */
  readonly worksMeanwhile: boolean;
  /** The sink seems to be down: many messages failed, and none succeeded in between. */
  readonly outage: boolean;
  /** How often the item failed alone although something had been delivered since it had failed alone before. */
  readonly strikes: number;
  /** Items that failed before have a collector of their own: the other one splits, and blames an item only if it works. */
  readonly splits: boolean;
}

/**
 * Strikes after which an item is to blame although nothing was delivered while it was tried: a sink that fails and recovers
 * in turns may be down each time.
 */
const strikesWithoutWitness = 3;

/** Ends the key of a suspect of a collector that does not split: the sink may have failed from the middle of the message on. */
const unsure = '?';

/** So many times `maxDeliveries` such a suspect is delivered while nothing else is: in a quiet log nothing else may ever be. */
const deliveriesWithoutWitness = 3;

/** With more failures than this, items of one message that failed are tried again together, and halved. */
const mostAlone = 16;

/** One item that failed while others of its message were delivered (`requeue` made its id), or that was redriven. */
export function isSuspect(id: string): boolean {
  return /(#\d+\??|~\d+)$/.test(id);
}

/** The id of one item of a delivery, the same whether it is a suspect by now or not. */
export function itemId({ id, items }: Delivery<unknown>, index: number): string {
  if (items.length > 1) return `${id}#${index}`;
  return id.endsWith(unsure) ? id.slice(0, -unsure.length) : id;
}

export function wasTried({ kind }: Failure): boolean {
  return kind === 'failed' || kind === 'takenBack';
}

/** `takingBack`: the feed itself clears its collector. */
export function failureOf(index: number, item: unknown, error: unknown, takingBack: boolean): Failure {
  if (item instanceof BadItem) return { index, error, kind: 'bad' };
  const { code, hook, cause } = (error ?? {}) as { code?: unknown; hook?: unknown; cause?: { code?: unknown } };
  switch (code) {
    case 'ERR_BATCH_CLEARED':
      return { index, error, kind: takingBack ? 'takenBack' : 'returned' };
    case 'ERR_BATCH_CLOSED':
    case 'ERR_BATCH_OVERFLOW':
      return { index, error, kind: 'returned' };
    case 'ERR_BATCH_ITEM':
      // A `batchInit` that fails says nothing about the item that needed the batch.
      return { index, error, kind: hook === 'batchInit' ? 'failed' : 'bad' };
    default:
      if (cause?.code === 'ERR_BATCH_TOO_LARGE') return { index, error, kind: 'bad' };
      return { index, error, kind: 'failed' };
  }
}

export function judge(delivery: Delivery<unknown>, failures: readonly Failure[], evidence: Evidence): Verdict {
  const bury = failures.filter(({ kind }) => kind === 'bad');
  const rest = failures.filter(({ kind }) => kind !== 'bad');
  if (rest.length === 0) return { bury, requeue: [], retry: false };
  const total = delivery.items.length;
  if (rest.length < total) return { bury, requeue: separated(rest, evidence.splits), retry: false };
  const again: Verdict = { bury: [], requeue: [], retry: true };
  if (rest.some(({ kind }) => kind === 'returned')) return again;
  if (total > 1)
    return delivery.attempt < (evidence.worksMeanwhile ? 2 : evidence.maxDeliveries) ? again : halves(total);
  if (delivery.attempt < evidence.maxDeliveries || !isToBlame(delivery, rest, evidence) || evidence.outage)
    return again;
  return { bury: rest, requeue: [], retry: false };
}

function isToBlame({ id, attempt }: Delivery<unknown>, rest: readonly Failure[], evidence: Evidence): boolean {
  const { strikes, worksMeanwhile, maxDeliveries } = evidence;
  if (strikes >= (worksMeanwhile ? 1 : strikesWithoutWitness)) return true;
  if (!isSuspect(id)) return false;
  const witnessed = worksMeanwhile || strikes > 0 || rest.some(({ kind }) => kind === 'takenBack');
  return !id.endsWith(unsure) || witnessed || attempt >= deliveriesWithoutWitness * maxDeliveries;
}

/** Others of the message were delivered. An item that failed alone is a suspect; one without an attempt is not. */
function separated(rest: readonly Failure[], splits: boolean): Verdict['requeue'] {
  const indexes = rest.map(({ index }) => index);
  const failed = rest.every(({ kind }) => kind === 'failed');
  if (!failed || rest.length > mostAlone) return [{ indexes, key: rangeOf(indexes) }];
  return indexes.map((index) => ({ indexes: [index], key: splits ? `${index}` : `${index}${unsure}` }));
}

function halves(total: number): Verdict {
  const indexes = Array.from({ length: total }, (_, index) => index);
  const half = total >> 1;
  const parts = [indexes.slice(0, half), indexes.slice(half)];
  return { bury: [], requeue: parts.map((part) => ({ indexes: part, key: rangeOf(part) })), retry: false };
}

/** The key of items that were only separated from others; a single item's is not that of a suspect. */
function rangeOf(indexes: readonly number[]): string {
  const [first = 0] = indexes;
  const contiguous = indexes.every((index, at) => index === first + at);
  return contiguous ? `${first}-${first + indexes.length - 1}` : `${indexes.join(',')},`;
}
