import type { Model } from './model.js';
import type { Item } from './records.js';

/** A call that waits is in the line before it returns, and its hooks and listeners may bring others behind it. */
export function nextInLine({ items, plan, waiting }: Model): Item | undefined {
  const called = items.filter(({ fate }) => fate === 'called');
  const first = waiting[0];
  if (first === undefined) return called.at(-1);
  // Room that a call makes by dropping is its own, not that of callers who began to wait within it.
  const drops = plan.overflow === 'dropOldest' ? called.at(-1) : undefined;
  const inLine = plan.overflow === 'wait' ? called.find(({ outcome }) => outcome === 'pending') : drops;
  return inLine !== undefined && inLine.seq < first.seq ? inLine : first;
}

/** Of two calls, one within the other, either may be the first in line: the one that a hook sees was. */
export function swap(model: Model, item: Item): void {
  if (item.fate !== 'called' && item.fate !== 'waiting') return;
  const other = model.items.findLast((each) => each.fate === 'accepted' && each.joined < 0);
  if (other === undefined) return;
  const nested = item.seq < other.seq ? other.seq < item.returnedSeq : item.seq < other.returnedSeq;
  if (!nested) return;
  if (item.fate === 'waiting') model.waiting.splice(model.waiting.indexOf(item), 1);
  Object.assign(item, { fate: 'accepted', from: other.from, to: other.to, acceptedSeq: other.acceptedSeq });
  if (other.returnedSeq === Infinity) other.fate = 'called';
  else model.wait(other);
}
