import { TimeoutError, type FlushContext } from 'batch-please';
import type { Model } from '../model.js';
import type { Delivery, State } from '../records.js';

/** With jitter no time is exact. */
function slackOf(model: Model): number {
  return model.plan.jitter ? 1 : 0;
}

export function isLate(model: Model, due: number): boolean {
  const late = model.now - due;
  return !(late >= 0 && late <= slackOf(model));
}

/** The last tick of the interval's grid. */
function lastTick(model: Model): number {
  const { interval } = model.plan;
  return interval < Infinity ? Math.floor(model.now / interval) * interval : -Infinity;
}

/** The batcher says that an attempt has failed: did it, and for that reason? */
export function checkFailure(model: Model, delivery: Delivery, error: unknown, event: string): void {
  if (delivery.phase !== 'running') model.bad(`${event} says a batch that is ${delivery.phase}`);
  delivery.lastError = error;
  if (delivery.answer !== undefined) {
    if (delivery.answer.ok || delivery.answer.error !== error)
      model.bad(`${event} says a wrong error: ${String(error)}`);
    return;
  }
  if (!(error instanceof TimeoutError) || isLate(model, delivery.startedAt + model.plan.timeout))
    model.bad(`${event} says ${String(error)}, and the attempt has not just expired`);
}

/** The delay before the next attempt is what `retry` says. */
export function checkBackOff(model: Model, delivery: Delivery, retryAt: number): void {
  const { minDelay, maxDelay, factor, jitter, attempts } = model.plan;
  const delay = retryAt - model.now;
  const most = Math.max(1, Math.min(maxDelay, minDelay * factor ** (delivery.attempt - 1)));
  const least = jitter ? Math.max(1, most / 2) : most;
  if (delay < least || delay > most) model.bad(`the next attempt is in ${delay} ms, expected ${most}`);
  if (delivery.attempt >= attempts) model.bad('an attempt too many');
}

/** Another attempt: the same batch, which waits for it. */
export function checkSameBatch(
  model: Model,
  delivery: Delivery,
  state: State,
  context: FlushContext,
  list: string,
): void {
  if (delivery.phase !== 'parked' && delivery.phase !== 'held')
    model.bad(`batch ${list} is tried again while it is ${delivery.phase}`);
  if (delivery.items.map((item) => item.id).join(' ') !== state.items.join(' ')) model.bad(`batch ${list} has changed`);
  if (delivery.reason !== context.reason) model.bad(`batch ${list} has another reason`);
}

/** Tried again when it is due, or because a caller asked for it since it failed. */
export function checkRetryTime(model: Model, delivery: Delivery, list: string): void {
  if (delivery.phase === 'held') {
    checkHeldTrigger(model, delivery, list);
    return;
  }
  const asked = model.demands.filter((demand) => demand.seq > delivery.phaseSeq);
  const times = [delivery.retryAt, ...asked.map((demand) => demand.at)];
  const off = Math.min(...times.map((time) => Math.abs(model.now - time)));
  if (off > slackOf(model)) model.bad(`batch ${list} is tried again at ${model.now}, due at ${delivery.retryAt}`);
}

/** Held: until the next trigger, which is a demand, a cut (made by any caller), a tick or the age of others. */
function checkHeldTrigger(model: Model, delivery: Delivery, list: string): void {
  const { plan } = model;
  const { phaseSeq, items, retryAt: heldAt } = delivery;
  if (model.demands.some((demand) => demand.seq > phaseSeq) || lastTick(model) > heldAt) return;
  if (plan.interval < Infinity && plan.jitter) return;
  // Anything that waits, or came since, may have made a trigger fire.
  const others = model.joined.some(
    (item) => !items.includes(item) && (item.batch === undefined || item.batch.phaseSeq > phaseSeq),
  );
  if (!others) model.bad(`batch ${list}, held at ${heldAt}, is tried again although no trigger has fired`);
}

/** An idle batcher arms no timer, and no batcher more than one, and one for close. */
export function checkTimers(model: Model, timers: number): void {
  if (timers > (model.closing === undefined ? 1 : 2)) model.bad(`${timers} timers are armed`);
  if (model.pending > 0 || model.closing !== undefined || timers === 0) return;
  const busy = [...model.deliveries.values()].some(
    ({ lane, chore }) => lane || chore?.running === true || (chore?.retryAt ?? Infinity) < Infinity,
  );
  if (!busy) model.bad('a timer is armed although nothing is pending');
}

/** An attempt ends when it has answered or its time is up. */
export function checkAnswered(model: Model, delivery: Delivery): void {
  const { closing, plan, now } = model;
  const slack = slackOf(model);
  if (delivery.phase !== 'running') {
    const { chore } = delivery;
    if (chore?.running === true && now > chore.startedAt + plan.timeout + 1 && !model.abandoned)
      model.bad(`the work after ${delivery.id} runs on after its time`);
    return;
  }
  if (delivery.answer !== undefined) {
    if (closing === undefined) model.bad(`the answer of batch ${delivery.id} was not heard`);
    else if (delivery.answer.ok && !model.abandoned) model.bad(`the success of batch ${delivery.id} was not heard`);
    else model.leave(delivery);
  } else if (now > delivery.startedAt + plan.timeout + slack) {
    if (closing === undefined) model.bad(`batch ${delivery.id} runs on after its time`);
    else model.leave(delivery);
  } else if (closing !== undefined && now >= closing.at + closing.timeout) model.leave(delivery);
}

/** Nothing that is due waits while a lane is free. */
export function checkDue(model: Model): void {
  const { plan, now } = model;
  const slack = plan.jitter ? 1.001 : 0;
  const asked = model.demands.at(-1)?.seq ?? -1;
  for (const delivery of model.deliveries.values()) {
    const { phase, phaseSeq, retryAt, chore } = delivery;
    if (phase === 'parked' && (retryAt + slack < now || (phaseSeq < asked && !delivery.hurried)))
      model.bad(`batch ${delivery.id} is not tried again, due at ${retryAt}`);
    if (phase === 'held' && phaseSeq < asked) model.bad(`batch ${delivery.id} is held on after a demand`);
    if (chore !== undefined && !chore.running && chore.retryAt < Infinity && chore.attempt > 0) {
      if (chore.retryAt + slack < now) model.bad(`the work after ${delivery.id} is not tried again`);
    }
  }
  if (model.onTheWay === undefined) {
    if (model.free) checkLoose(model, asked, slack);
  } else if (now > model.onTheWay.since + plan.timeout + slack) model.bad('an add hook runs on after its time');
}

/** While a lane is free, what has not been delivered yet is not due. */
function checkLoose(model: Model, asked: number, slack: number): void {
  const { plan, now, loose } = model;
  const unjoined = loose.find((item) => item.joined < 0);
  if (unjoined !== undefined) model.bad(`item ${unjoined.id} does not join although none is on its way`);
  const first = loose.sort((a, b) => a.joined - b.joined)[0];
  if (first === undefined) return;
  const weight = loose.reduce((sum, item) => sum + item.weight, 0);
  const last = model.flushTimes.at(-1) ?? first.to;
  const due = [
    loose.length >= plan.size && 'full',
    weight >= plan.weight && 'heavy',
    first.to + plan.age + slack <= now && 'old',
    Math.max(last, 0) + plan.sinceFlush + slack <= now && first.to + slack < now && 'long after the last flush',
    !plan.jitter && lastTick(model) > first.joinedAt && 'on the interval',
    first.acceptedSeq < asked && 'demanded',
    model.waiting.length > 0 && 'in the way of those who wait for room',
  ].filter((each) => each !== false);
  if (due.length > 0) model.bad(`item ${first.id} waits though it is ${due.join(', ')}, and a lane is free`);
}
