import { CloseError } from 'batch-please';
import type { Model } from '../model.js';
import type { Closing, Item } from '../records.js';

/** What fails for good while it closes is left, and so is what it does not try again; no event says so before the end. */
export function leaveFailed(model: Model): void {
  const { closing, plan, now } = model;
  if (closing === undefined) return;
  for (const delivery of model.deliveries.values()) {
    if (!closing.flush && (delivery.phase === 'parked' || delivery.phase === 'held')) model.leave(delivery);
    if (delivery.phase !== 'running' || delivery.answer?.ok === true) continue;
    if (delivery.answer === undefined && now < delivery.startedAt + plan.timeout) continue;
    const spent = delivery.extra ? delivery.attempt - 1 : delivery.attempt;
    if (!closing.flush || (spent >= plan.attempts && (plan.giveUp === 'hold' || !plan.deadLetter))) {
      model.leave(delivery);
      delivery.leftBefore = delivery.answer !== undefined;
    }
  }
}

/** A2, A8, A12: at the end every caller has an answer, and every item one owner. */
export function checkClosed(model: Model, closing: Closing, timers: number): void {
  for (const delivery of model.deliveries.values())
    if (['running', 'parked', 'held'].includes(delivery.phase)) model.leave(delivery);
  for (const item of model.items) {
    if (item.fate === 'accepted') model.abandon(item);
    checkItem(model, item);
  }
  if (model.asks.some((ask) => ask.outcome === 'pending')) model.bad('a flush() never settles');
  if (timers > 0) model.bad(`${timers} timers after close`);
  if (closing.outcome === 'pending') {
    model.bad('close() never settles');
    return;
  }
  if (closing.settledAt > closing.at + closing.timeout + 1001)
    model.bad(`close() took ${closing.settledAt - closing.at} ms`);
  checkReport(model, closing);
}

function checkItem(model: Model, item: Item): void {
  const { id, fate, outcome, verb } = item;
  if (fate === 'waiting') model.bad(`item ${id} waits for room after close`);
  if (outcome === 'pending') model.bad(`${verb}(${id}) never settles; it is ${fate}`);
  if (outcome === 'rejected' && fate === 'delivered' && item.signal?.aborted !== true)
    model.bad(`${verb}(${id}) rejected, it was delivered`);
  const failures = fate === 'delivered' ? 0 : 1;
  if (item.heard !== undefined && item.heard.length !== failures)
    model.bad(`onError of item ${id}, ${fate}, was called ${item.heard.length} times`);
}

/** What `CloseError`, `closed` and `batchTerminate` say is what was left. */
function checkReport(model: Model, closing: Closing): void {
  const left = model.items.filter((item) => item.fate === 'left');
  const undelivered = left.length + model.refusedByClose + model.droppedLate.length;
  const fails = closing.flush && undelivered > 0;
  if ((closing.outcome === 'rejected') !== fails)
    model.bad(`close() ${closing.outcome}: ${String(closing.error)}, undelivered ${undelivered}`);
  const sorted = (ids: number[]): string => ids.sort((a, b) => a - b).join(' ');
  const seen = model.terminated.flatMap((state) => state?.items ?? []);
  const given = sorted(seen.filter((id) => !model.heldAllTheSame.has(id)));
  const terminal = sorted([...left, ...model.droppedLate].map((item) => item.id));
  if (given !== terminal) model.bad(`batchTerminate got [${given}], left were [${terminal}]`);
  if (terminal === '' && (model.terminated.length !== 1 || model.terminated[0] !== undefined))
    model.bad('batchTerminate is called once, with undefined');
  if (closing.outcome === 'rejected') {
    const { error } = closing;
    const batches = model.terminated.filter((state) => state !== undefined).length;
    if (!(error instanceof CloseError)) model.bad(`close() rejected with ${String(error)}`);
    else if (error.undelivered !== undelivered || error.batches.length !== batches)
      model.bad(`CloseError says ${error.undelivered} in ${error.batches.length} batches, really ${undelivered}`);
  }
  const { closedEvents } = model;
  if (closedEvents.length !== 1 || closedEvents[0]?.undelivered !== undelivered)
    model.bad(`closed says ${JSON.stringify(closedEvents)}, really ${undelivered}`);
}
