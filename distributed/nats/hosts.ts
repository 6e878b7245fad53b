import { OptionsError } from '../../src/index.js';
import type { Call } from './call.js';
import type { HostCard } from './wire.js';

/**
 * `'pack'` fills the open batch of a host before it opens one on another; `'least'` takes the less loaded of two at random;
 * `'queue'` leaves it to the server, which needs no announcements.
 */
export type Balance = 'pack' | 'least' | 'queue';

/** @throws OptionsError */
export function checkBalance(value: unknown): Balance {
  if (value === 'pack' || value === 'least' || value === 'queue') return value;
  const expected = "'pack', 'least' or 'queue'";
  throw new OptionsError(`RemoteServing: balance must be ${expected}`, 'balance', expected, value);
}

/** A host, as far as it is known here. */
export class Host {
  /** Calls that it has and has not answered. */
  readonly calls = new Set<Call>();
  /** Values sent since it last said how many it has. */
  sent = 0;
  /** Time of its last message. */
  heardAt = 0;
  probing = false;

  constructor(public card: HostCard) {}

  get load(): number {
    return this.card.pending + this.sent;
  }
}

/** Without a word for so long a host is taken only when there is no other. Announcements come twice a second. */
const quietAfter = 2000;

export class Hosts {
  readonly #hosts = new Map<string, Host>();

  constructor(private readonly random: () => number = Math.random) {}

  get(id: string | undefined): Host | undefined {
    return id === undefined ? undefined : this.#hosts.get(id);
  }

  all(): IterableIterator<Host> {
    return this.#hosts.values();
  }

  delete(id: string): boolean {
    return this.#hosts.delete(id);
  }

  /** Takes note of an announcement. */
  heard(card: HostCard): void {
    let host = this.#hosts.get(card.id);
    if (host === undefined) {
      if (card.draining) return;
      host = new Host(card);
      this.#hosts.set(card.id, host);
    }
    host.card = card;
    host.sent = 0;
    host.heardAt = performance.now();
    if (card.draining && host.calls.size === 0) this.#hosts.delete(card.id);
  }

  /** The smallest bound on pending values among the hosts; `Infinity` without one. */
  get room(): number {
    let least = Infinity;
    for (const { card } of this.#hosts.values()) if (card.room > 0) least = Math.min(least, card.room);
    return least;
  }

  /** `avoid`: where the call has just been. */
  choose(balance: Balance, avoid: string | undefined): Host | undefined {
    const now = performance.now();
    const open = [...this.#hosts.values()].filter(({ card }) => !card.draining);
    const loud = open.filter(({ heardAt }) => now - heardAt < quietAfter);
    const others = loud.filter(({ card }) => card.id !== avoid);
    const hosts = [others, loud, open].find(({ length }) => length > 0) ?? [];
    return balance === 'least' ? this.#lessLoaded(hosts) : fullest(hosts);
  }

  #lessLoaded(hosts: readonly Host[]): Host | undefined {
    const pick = (from: readonly Host[]): Host | undefined => from[Math.floor(this.random() * from.length)];
    const first = pick(hosts);
    const second = pick(hosts.filter((host) => host !== first)) ?? first;
    if (first === undefined || second === undefined) return undefined;
    return first.load / first.card.weight <= second.load / second.card.weight ? first : second;
  }
}

/** The fewest whole batches pending; of several such hosts the first, so that one batch fills up before another begins. */
function fullest(hosts: readonly Host[]): Host | undefined {
  let best: Host | undefined;
  let fewest = Infinity;
  for (const host of hosts) {
    const batches = Math.floor(host.load / host.card.batchSize) / host.card.weight;
    if (batches >= fewest) continue;
    best = host;
    fewest = batches;
  }
  return best;
}
