import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { random, type Random } from '../../../src/testing.js';

interface Link {
  readonly ends: readonly [Socket, Socket];
  /** What has arrived and is not passed on yet, with the time at which it may be. */
  readonly queues: readonly [Chunk[], Chunk[]];
}
interface Chunk {
  readonly due: number;
  readonly data: Buffer;
}

/** Milliseconds between two looks at what is due. */
const tick = 5;

/**
 * Stands between a client and its server, delays every chunk, and now and then passes nothing on for a while, or cuts every
 * connection, which loses what was not received: a partition in which no process dies. One seed decides when and for how long.
 */
export class Proxy {
  readonly counts = { stalls: 0, cuts: 0, lostBytes: 0 };
  readonly #links = new Set<Link>();
  readonly #server: Server;
  readonly #rng: Random;
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  #stalledUntil = 0;
  #closed = false;

  private constructor(
    target: number,
    seed: number,
    readonly delay: number,
  ) {
    this.#rng = random(seed);
    this.#server = createServer((client) => this.#accept(client, connect(target, '127.0.0.1')));
    this.#timers.push(setInterval(() => this.#pass(), tick));
  }

  /** `delay`: milliseconds that a chunk takes at most, each way. */
  static async start(target: number, { seed, delay = 0 }: { seed: number; delay?: number }): Promise<Proxy> {
    const proxy = new Proxy(target, seed, delay);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on something happens on average every `every` milliseconds: a stall of at most `longest`, or a cut. */
  trouble({ every, longest }: { every: number; longest: number }): void {
    const look = (): void => {
      if (!this.#rng.chance(50 / every)) return;
      if (this.#rng.chance(0.3)) this.cut();
      else this.stall(this.#rng.next() * longest);
    };
    this.#timers.push(setInterval(look, 50));
  }

  /** Passes nothing on for so long. */
  stall(milliseconds: number): void {
    this.counts.stalls++;
    this.#stalledUntil = performance.now() + milliseconds;
  }

  /** Ends all connections, and loses what was not received. New ones are accepted. */
  cut(): void {
    this.counts.cuts++;
    for (const { ends, queues } of this.#links) {
      this.counts.lostBytes += queues.flat().reduce((sum, { data }) => sum + data.length, 0);
      for (const end of ends) end.destroy();
    }
    this.#links.clear();
  }

  /** No more trouble. */
  heal(): void {
    for (const timer of this.#timers.splice(1)) clearInterval(timer);
    this.#stalledUntil = 0;
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.cut();
    this.#server.close();
  }

  #accept(client: Socket, server: Socket): void {
    const link: Link = { ends: [client, server], queues: [[], []] };
    this.#links.add(link);
    link.ends.forEach((end, index) => {
      end.setNoDelay(true);
      end.on('data', (data) => {
        link.queues[index as 0 | 1].push({ due: performance.now() + this.#rng.next() * this.delay, data });
      });
      const gone = (): void => {
        this.#links.delete(link);
        for (const one of link.ends) one.destroy();
      };
      end.once('close', gone).once('error', gone);
    });
    if (this.#closed) for (const end of link.ends) end.destroy();
  }

  #pass(): void {
    const now = performance.now();
    if (now < this.#stalledUntil) return;
    for (const { ends, queues } of this.#links) {
      queues.forEach((queue, index) => {
        const other = ends[1 - index];
        // In order: a chunk waits for those before it.
        while (queue[0] !== undefined && queue[0].due <= now) other?.write(queue.shift()?.data ?? '');
      });
    }
  }
}
