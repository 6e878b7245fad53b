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
  /** Calls of this link that it has and has not answered. */
  readonly calls = new Set<Call>();
  /** Time of its last message. */
  heardAt = 0;
  /** Time of its last results. */
  answeredAt = 0;
  probing = false;
  /** Values of `calls`. */
  #own = 0;
  /** Values sent since it last said how many it has. */
  #sent = 0;

  constructor(public card: HostCard) {}

  /** Values that it has not answered. It may not have received the latest calls when it counted, so theirs are the least. */
  get load(): number {
    return Math.max(this.card.pending + this.#sent, this.#own);
  }

  /** It has said how many values it has. */
  reported(card: HostCard): void {
    this.card = card;
    this.#sent = 0;
    this.heardAt = performance.now();
  }

  take(call: Call): void {
    this.calls.add(call);
    this.#own += call.values.length;
    this.#sent += call.values.length;
  }

  release(call: Call): void {
    if (this.calls.delete(call)) this.#own -= call.values.length;
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
    host.reported(card);
    if (card.draining && host.calls.size === 0) this.#hosts.delete(card.id);
  }

  /** The smallest bound on pending values among the hosts; `Infinity` without one. */
  get room(): number {
    let least = Infinity;
    for (const { card } of this.#hosts.values()) if (card.room > 0) least = Math.min(least, card.room);
    return least;
  }

  /** The host for a call of `size` values. `avoid`: where the call has just been. */
  choose(balance: Balance, size: number, avoid: string | undefined): Host | undefined {
    const now = performance.now();
    const open = [...this.#hosts.values()].filter(({ card }) => !card.draining);
    const loud = open.filter(({ heardAt }) => now - heardAt < quietAfter);
    const others = loud.filter(({ card }) => card.id !== avoid);
    const hosts = [others, loud, open].find(({ length }) => length > 0) ?? [];
    return balance === 'least' ? this.#lessLoaded(hosts) : packed(hosts, size);
  }

  #lessLoaded(hosts: readonly Host[]): Host | undefined {
    const pick = (from: readonly Host[]): Host | undefined => from[Math.floor(this.random() * from.length)];
    const first = pick(hosts);
    const second = pick(hosts.filter((host) => host !== first)) ?? first;
    if (first === undefined || second === undefined) return undefined;
    return first.load / first.card.weight <= second.load / second.card.weight ? first : second;
  }
}

/**
 * The host that has to execute the fewest batches until the call is done: so one batch fills up before another begins. If
 * several are equal, one whose last batch has room; then the one that has answered the longest ago, as it will be the next
 * to have nothing to do.
 */
function packed(hosts: readonly Host[], size: number): Host | undefined {
  let best: { host: Host; batches: number; begins: number } | undefined;
  for (const host of hosts) {
    const { weight } = host.card;
    // A host that is new has executed small batches only.
    const batchSize = Math.max(host.card.batchSize, size);
    const batches = Math.ceil((host.load + size) / batchSize);
    const begins = batches - Math.ceil(host.load / batchSize);
    const next = { host, batches: batches / weight, begins };
    const order =
      best === undefined
        ? -1
        : next.batches - best.batches || next.begins - best.begins || host.answeredAt - best.host.answeredAt;
    if (order < 0) best = next;
  }
  return best?.host;
}
