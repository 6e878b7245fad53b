import type { FlushContext } from 'batch-please';
import { leaveFailed } from './checks/close.js';
import { checkCut } from './checks/order.js';
import { checkRetryTime, checkSameBatch } from './checks/timers.js';
import type { Model } from './model.js';
import type { Delivery, State } from './records.js';
import type { World } from './world.js';

/** Another attempt starts: the batch must be what it was, and due. */
export function startAttempt(world: World, state: State, context: FlushContext): Delivery {
  const { model } = world;
  world.sync();
  leaveFailed(model);
  const list = `[${state.items.join(' ')}]`;
  const known = model.deliveries.get(context.id);
  const delivery = known ?? deliver(model, state, context, list);
  if (known !== undefined) {
    checkSameBatch(model, known, state, context, list);
    checkRetryTime(model, known, list);
  }
  for (const item of delivery.items)
    if (item.fate !== 'accepted') model.bad(`item ${item.id} is flushed, it is ${item.fate}`);
  if (context.attempt !== delivery.attempt + 1)
    model.bad(`attempt ${context.attempt} of batch ${list} after attempt ${delivery.attempt}`);
  const weight = delivery.items.reduce((sum, item) => sum + item.weight, 0);
  if (context.size !== delivery.items.length || context.weight !== weight)
    model.bad(`the context of batch ${list} says size ${context.size}, weight ${context.weight}`);
  const parked = delivery.phase === 'parked';
  delivery.dueAt = parked ? delivery.retryAt : -1;
  const asked = model.demands.some(({ seq, kind }) => kind === 'flush' && seq > delivery.phaseSeq);
  // One that is due by now anyway is an attempt like any other.
  delivery.extra = parked && asked && !delivery.hurried && delivery.retryAt > model.now;
  Object.assign(delivery, { attempt: context.attempt, startedAt: model.now, phase: 'running', answer: undefined });
  model.occupy(delivery);
  if (model.lanes > model.plan.lanes) model.bad(`${model.lanes} batches at the same time on ${model.plan.lanes} lanes`);
  return delivery;
}

/** A batch that the sink has not seen before. */
function deliver(model: Model, state: State, context: FlushContext, list: string): Delivery {
  const items = state.items.map((id) => model.item(id));
  const delivery: Delivery = {
    ...{ id: context.id, items, reason: context.reason, attempt: 0, startedAt: model.now, startedSeq: -1 },
    ...{ lane: false, phase: 'running', phaseSeq: model.next(), answer: undefined, sent: undefined, leftBefore: false },
    ...{ retryAt: Infinity, hurried: false, extra: false, dueAt: -1, lastError: undefined, chore: undefined },
  };
  model.deliveries.set(context.id, delivery);
  model.byState.set(state, delivery);
  checkCut(model, delivery, list);
  for (const item of items) item.batch = delivery;
  return delivery;
}
