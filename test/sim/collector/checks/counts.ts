import type { BatchPleaseState } from 'batch-please';
import type { Model } from '../model.js';
import type { State } from '../records.js';

type Live = BatchPleaseState<number, State>;

/** A1: holds at every moment, wherever it is read. */
export function checkSum(model: Model, { counts, pending }: Live, where: string): void {
  const { totalItems, delivered, refused, dropped } = counts;
  if (totalItems !== delivered + refused + dropped + pending)
    model.bad(`${where}: ${totalItems} added ≠ ${delivered} + ${refused} + ${dropped} + ${pending}`);
}

/** After a turn the state is what the model says. */
export function checkCounts(model: Model, state: Live): void {
  const { counts, pending } = state;
  const left = model.count('left');
  if (pending !== model.pending + left) model.bad(`pending is ${pending}, really ${model.pending + left}`);
  const outside = model.count('called') + model.count('waiting') + model.count('away');
  const really = { ...model.counts, totalItems: model.items.length - outside };
  for (const name of ['delivered', 'refused', 'dropped', 'flushes', 'totalItems'] as const) {
    if (counts[name] !== really[name]) model.bad(`counts.${name} is ${counts[name]}, really ${really[name]}`);
  }
  if (counts.batchItems > model.plan.size) model.bad(`the open batch has ${counts.batchItems} items`);
  if (state.times.lastFlush !== model.flushTimes.at(-1)) model.bad('times.lastFlush is wrong');
  // After close it is released.
  if (state.lastItem !== model.lastJoined && !(model.closing !== undefined && state.lastItem === undefined))
    model.bad(`lastItem is ${String(state.lastItem)}, really ${String(model.lastJoined)}`);
}
