import { ClosedError, FlushError, OverflowError, TimeoutError } from 'batch-please';
import { leaveFailed } from './close.js';
import { Oops } from '../manners.js';
import type { Model } from '../model.js';
import type { Ask, Item } from '../records.js';

type Outcome = 'resolved' | 'rejected';

/** The promise of `syncAddItem` or `deliverItem` has settled: does it say what happened to the item? */
export function checkItemSettled(model: Model, item: Item, outcome: Outcome, error: unknown): void {
  leaveFailed(model);
  item.outcome = outcome;
  model.note(`${item.verb} ${item.id} ${outcome}${error instanceof Error ? `: ${error.name}` : ''}`);
  if (outcome === 'resolved') checkResolved(model, item);
  else if (error instanceof Oops && error.message.startsWith('abort')) {
    if (item.signal?.aborted !== true) model.bad(`item ${item.id} rejected with the abort of another`);
  } else if (item.fate === 'accepted' && !model.abandoned)
    model.bad(`${item.verb}(${item.id}) rejected with ${String(error)} while it is pending`);
  else if (item.fate === 'delivered')
    model.bad(`${item.verb}(${item.id}) rejected with ${String(error)}, it is delivered`);
}

function checkResolved(model: Model, item: Item): void {
  const { batch } = item;
  if (item.verb === 'deliverItem' && item.fate !== 'delivered')
    model.bad(`deliverItem(${item.id}) resolved, it is ${item.fate}`);
  if (item.joined < 0) model.bad(`${item.verb}(${item.id}) resolved, it has not joined`);
  if (item.verb !== 'syncAddItem' || item.fate !== 'accepted' || batch?.reason !== 'size') return;
  if (batch.items.at(-1) !== item) return;
  // It made the batch full: a lane has to have been free since the batch was started.
  const busy = model.fullSeq <= batch.startedSeq;
  if (busy && !model.abandoned) model.bad(`syncAddItem(${item.id}) resolved before a lane was free again`);
}

/** The promise of `flush` has settled: is everything it covers settled, and if it failed, for a reason that has come? */
export function checkFlushSettled(model: Model, ask: Ask, outcome: Outcome, error: unknown): void {
  ask.outcome = outcome;
  model.note(`flush ${outcome}${error instanceof Error ? `: ${error.name} ${error.message}` : ''}`);
  if (model.closing !== undefined && ask.seq > model.closing.seq) return;
  if (outcome === 'resolved') {
    const left = ask.covered.find((item) => item.fate === 'accepted');
    if (left !== undefined) model.bad(`flush() resolved while item ${left.id} is pending`);
  } else if (error instanceof TimeoutError) {
    const late = model.now - ask.at - ask.timeout;
    if (!(late >= 0 && late <= 1)) model.bad(`flush() timed out ${late} ms late`);
  } else if (error instanceof FlushError) {
    if (model.givenUpSeq < ask.seq) model.bad(`flush() rejected, but nothing was held or dropped: ${error.message}`);
  } else if (error instanceof OverflowError) {
    if (model.overflowSeq < ask.seq) model.bad('flush() rejected with OverflowError, but nothing was dropped since');
  } else if (error instanceof Oops) {
    if (ask.signal?.aborted !== true) model.bad(`flush() rejected with ${error.message}`);
  } else if (!(error instanceof ClosedError && model.closing !== undefined))
    model.bad(`flush() rejected with ${String(error)}`);
}

/** After a turn no caller waits longer than it has to. */
export function checkWaiters(model: Model): void {
  if (model.closing !== undefined) return;
  for (const ask of model.asks) {
    if (ask.outcome === 'pending' && ask.timeout < Infinity && model.now > ask.at + ask.timeout)
      model.bad('a flush() with a timeout waits longer');
  }
  const idle = model.pending === 0 && model.lanes === 0;
  if (idle && model.asks.some((ask) => ask.outcome === 'pending'))
    model.bad('a flush() waits although nothing is pending');
  if (model.waiting.length > 0 && model.pending < model.plan.maxPending)
    model.bad(`item ${model.waiting[0]?.id ?? ''} waits although there is room`);
  for (const item of model.items) if (item.outcome === 'pending') checkPending(model, item);
}

function checkPending(model: Model, item: Item): void {
  const { verb, id, fate, batch, joined } = item;
  const { plan, free } = model;
  if (verb === 'deliverItem' || joined < 0) {
    if (fate !== 'accepted' && fate !== 'waiting') model.bad(`${verb}(${id}) waits, it is ${fate}`);
    return;
  }
  // Its batch has been started, or is not due.
  const timed = Math.min(plan.age, plan.sinceFlush, plan.interval) < Infinity || plan.shouldFlush !== 'none';
  const asked = Math.max(model.crowdSeq, model.demands.at(-1)?.seq ?? -1) > item.seq;
  const open = batch === undefined && fate === 'accepted' && !timed && !asked;
  if (batch !== undefined ? free : open && free) model.bad(`syncAddItem(${id}) waits although a lane is free`);
}
