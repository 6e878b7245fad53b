import { random } from 'batch-please/testing';
import { Cut, Ledger, type Limits } from '../../src/core/ledger.js';

const OFF: Limits = {
  size: Infinity,
  weight: Infinity,
  age: Infinity,
  sinceFlush: Infinity,
  interval: Infinity,
  jitter: 0,
  lanes: 1,
  attempt: Infinity,
  entry: Infinity,
  random: () => 0.5,
};

function ledgerWith(limits: Partial<Limits>): Ledger {
  return new Ledger({ ...OFF, ...limits }, 0);
}

/** Entries accepted at `now`, all of which join. */
function take(ledger: Ledger, count: number, now: number, weight = 0): void {
  for (let i = 0; i < count; i++) {
    ledger.entering++;
    if (ledger.size === 0) ledger.open(now);
    ledger.join(1, weight);
  }
}

function sealed(ledger: Ledger): Cut {
  const reason = ledger.due();
  if (reason === undefined) throw new Error('nothing is due');
  const cut = new Cut();
  ledger.seal(cut, reason);
  return cut;
}

describe('what makes a batch due', () => {
  test.each<[string, Partial<Limits>, number]>([
    ['age', { age: 10 }, 15],
    ['sinceFlush', { sinceFlush: 10 }, 15],
    ['interval', { interval: 10 }, 10],
  ])('%s: the deadline is the moment before which nothing is due', (trigger, limits, moment) => {
    const ledger = ledgerWith(limits);
    take(ledger, 2, 5);
    expect(ledger.deadline()).toBe(moment);
    ledger.fire(moment - 0.001);
    expect(ledger.due()).toBeUndefined();
    ledger.fire(moment);
    expect(ledger.due()).toBe(trigger);
  });

  test('of two times that have come, the earlier one names the batch', () => {
    const ledger = ledgerWith({ age: 20, interval: 12 });
    take(ledger, 1, 0);
    ledger.fire(100);
    expect(sealed(ledger).reason).toBe('interval');
  });

  test('full is due at once, and before anything else: 3 of 3 (size), 4+4 of 8 (weight)', () => {
    const bySize = ledgerWith({ size: 3, age: 1 });
    take(bySize, 3, 0);
    bySize.fire(100);
    expect(bySize.due()).toBe('size');
    const byWeight = ledgerWith({ weight: 8 });
    take(byWeight, 2, 0, 4);
    expect(byWeight.due()).toBe('weight');
  });

  test('a batch that is due by time grows until a lane is idle; a full one is cut at once', () => {
    const ledger = ledgerWith({ size: 4, age: 10 });
    take(ledger, 1, 0);
    ledger.fire(10);
    const first = sealed(ledger);
    ledger.begin(first, 10);
    take(ledger, 2, 10);
    ledger.fire(20);
    expect([ledger.due(), ledger.overdue]).toEqual([undefined, true]);
    take(ledger, 1, 20);
    ledger.end(first);
    ledger.finish(first);
    ledger.settle(first);
    expect(ledger.due()).toBe('age');
    take(ledger, 1, 20);
    expect(ledger.due()).toBe('size');
  });

  test('a demand covers what was accepted before it, and asks for nothing after: 2+1 = 3, then not 1', () => {
    const ledger = ledgerWith({});
    take(ledger, 2, 0);
    ledger.entering++;
    ledger.demand('demand');
    expect(ledger.due()).toBeUndefined(); // one is on its way
    ledger.join(1, 0);
    expect(sealed(ledger).to).toBe(3);
    take(ledger, 1, 0);
    expect(ledger.due()).toBeUndefined();
  });
});

test('the interval is a grid that nothing moves: ticks at 10, 20, 30 whatever happens between them', () => {
  const ledger = ledgerWith({ interval: 10 });
  const moments: number[] = [];
  for (let now = 0; now <= 35; now += 0.5) {
    ledger.fire(now);
    if (ledger.due() === 'interval') {
      moments.push(now);
      const cut = sealed(ledger);
      ledger.begin(cut, now);
      ledger.end(cut);
      ledger.finish(cut);
      ledger.settle(cut);
    }
    if (now % 3 === 1) take(ledger, 1, now);
  }
  expect(moments).toEqual([10, 20, 30]);
});

test('withdrawn from the open batch until it is empty: what made it due concerns nobody who comes later', () => {
  const ledger = ledgerWith({ age: 10 });
  take(ledger, 2, 0, 3);
  ledger.fire(10);
  ledger.withdraw(undefined, 2, 6);
  expect([ledger.size, ledger.weight, ledger.pending, ledger.settled]).toEqual([0, 0, 0, 2]);
  take(ledger, 1, 50);
  expect([ledger.due(), ledger.deadline()]).toEqual([undefined, 60]);
});

test('invariants 1 to 4 hold over 200 histories of 400 random steps', () => {
  for (let seed = 1; seed <= 200; seed++) expect({ seed, broken: history(seed) }).toEqual({ seed, broken: [] });
});

/** Says what was broken; `expect` itself would take longer than everything else. */
function history(seed: number): string[] {
  const broken: string[] = [];
  const holds = (what: string, yes: boolean): void => {
    if (!yes) broken.push(what);
  };
  const draw = random(seed);
  const limits: Partial<Limits> = { size: 1 + draw.int(8), lanes: 1 + draw.int(3) };
  if (draw.chance(0.5)) limits.weight = 1 + draw.int(20);
  if (draw.chance(0.5)) limits.age = 1 + draw.int(30);
  if (draw.chance(0.3)) limits.sinceFlush = 1 + draw.int(30);
  if (draw.chance(0.3)) limits.interval = 1 + draw.int(30);
  const ledger = ledgerWith(limits);
  const cuts: Cut[] = [];
  const running: Cut[] = [];
  let now = 0;
  let refused = 0;
  let outside = 0;
  let before: readonly number[] = [0, 0, 0, 0, 0, 0];
  for (let step = 0; step < 400; step++) {
    const due = ledger.due();
    if (due !== undefined) {
      // Invariant 3: never empty, never early.
      holds(
        'a cut is never empty, nor made while an entry is on its way',
        ledger.size > 0 && ledger.entering === ledger.ready,
      );
      cuts.push(sealed(ledger));
    }
    const next = ledger.startable(now);
    if (next !== undefined && draw.chance(0.7)) {
      ledger.begin(next, now);
      running.push(next);
    }
    const action = draw.int(6);
    if (action <= 1 && !ledger.full) take(ledger, 1, now, draw.int(5));
    else if (action === 2 && !ledger.full) {
      ledger.entering++;
      if (ledger.size === 0) {
        ledger.open(now);
        outside++; // refused while no batch was open: belongs to none
      }
      ledger.refuse();
      refused++;
    } else if (action === 3) ledger.demand('demand');
    else if (action === 4) {
      // Invariant 4: before the deadline nothing changes by itself.
      const deadline = ledger.deadline();
      if (deadline > now && ledger.due() === undefined) {
        ledger.fire(Math.min(deadline, now + 1000) - 0.0001);
        if (deadline < Infinity) holds('nothing is due before the deadline', ledger.due() === undefined);
      }
      now = Math.max(now, Math.min(deadline, now + draw.int(40)));
      ledger.fire(now);
    } else if (running.length > 0) {
      const [done] = running.splice(draw.int(running.length), 1) as [Cut]; // there is one
      ledger.end(done);
      if (draw.chance(0.8)) {
        ledger.finish(done);
        ledger.delivered(now);
        ledger.settle(done);
      } else ledger.park(done, now + 1 + draw.int(10));
    }
    const cursors = [ledger.settled, ledger.started, ledger.sealed, ledger.ready, ledger.entering, ledger.accepted];
    // Invariant 1: ordered, and none of them shrinks.
    holds(
      'the cursors are ordered',
      cursors.every((cursor, i) => cursor >= (cursors[i - 1] ?? 0)),
    );
    holds(
      'no cursor shrinks',
      cursors.every((cursor, i) => cursor >= (before[i] ?? 0)),
    );
    holds('no more run than there are lanes', running.length <= (limits.lanes ?? 1));
    before = cursors;
  }
  // Invariant 2: the cuts and the entries that belong to none make up the log.
  const inCuts = cuts.reduce((sum, cut) => sum + cut.size, 0);
  holds('cuts partition the log', inCuts + refused + ledger.size === ledger.ready);
  const gaps = cuts.reduce((sum, cut, i) => sum + cut.from - (cuts[i - 1]?.to ?? 0), 0);
  holds('gaps are entries refused while no batch was open', gaps <= outside);
  holds(
    'no overlap',
    cuts.every((cut, i) => cut.from >= (cuts[i - 1]?.to ?? 0)),
  );
  return broken;
}
