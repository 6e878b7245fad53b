import type { Model } from '../model.js';
import type { Delivery, Item } from '../records.js';

/** Was the batch cut at the right place, not too early and not too late? */
export function checkCut(model: Model, delivery: Delivery, list: string): void {
  const { plan, now } = model;
  const { items, reason } = delivery;
  const first = items[0];
  const last = items.at(-1);
  if (first === undefined || last === undefined) {
    model.bad('an empty batch is flushed');
    return;
  }
  items.forEach((item, i) => {
    if (item.joined !== first.joined + i) model.bad(`batch ${list} has a gap or another order`);
    if (item.batch !== undefined) model.bad(`item ${item.id} is in two batches`);
  });
  if (plan.lanes === 1) {
    for (const item of model.joined.slice(0, first.joined))
      if (item.fate === 'accepted') model.bad(`batch ${list} overtakes item ${item.id}`);
  }
  const weight = items.reduce((sum, item) => sum + item.weight, 0);
  if (items.length > plan.size) model.bad(`batch ${list} is larger than ${plan.size}`);
  if (weight > plan.weight && items.length > 1) model.bad(`batch ${list} is heavier than ${plan.weight}`);
  if (!hasCome(model, delivery, first, last, weight))
    model.bad(`batch ${list} was cut by ${reason}, which had not come`);
  if (items.length === plan.size && reason !== 'size') model.bad(`batch ${list} is full and was cut by ${reason}`);
  const due = first.to + plan.age;
  if (now > Math.max(due, model.busyEnd) + (plan.jitter ? 1 : 0) && model.free)
    model.bad(`batch ${list} was due at ${due} by its age`);
}

/** Whether the trigger that the batch names has fired since its first item came. */
function hasCome(model: Model, { items, reason }: Delivery, first: Item, last: Item, weight: number): boolean {
  const { plan, now } = model;
  switch (reason) {
    case 'size':
      return items.length === plan.size;
    case 'weight': {
      const next = model.weighed.some((each) => each.seq > last.joinedSeq && weight + each.weight > plan.weight);
      return weight >= plan.weight || next;
    }
    case 'age':
      return first.from + plan.age <= now;
    case 'sinceFlush': {
      // It holds from then on until the next flush; once due, the batch goes when a lane is free.
      const times = model.flushTimes;
      if (times.every((at) => at > first.from) && first.from + plan.sinceFlush <= (times[0] ?? now)) return true;
      return times.some(
        (at, i) => Math.max(at + plan.sinceFlush, first.from) <= (times[i + 1] ?? now) && at + plan.sinceFlush <= now,
      );
    }
    case 'interval':
      return Math.floor(now / plan.interval) * plan.interval >= first.from;
    case 'demand':
      return model.demands.some((demand) => demand.seq > first.seq) || model.crowdSeq > first.seq;
    case 'shouldFlush':
      return model.wantedSeq > first.joinedSeq;
    case 'close':
      return model.closing !== undefined;
    default:
      return false;
  }
}
