import {
  BatchServing,
  OptionsError,
  TooLargeError,
  type Awaitable,
  type Handler,
  type PlainOptions,
  type ServingCloseOptions,
  type ServingContext,
  type ServingOptions,
} from '../../src/index.js';
import { checkNumber, checkOptions, largestMessage, type NatsConnection } from './connection.js';
import { checkBalance, type Balance } from './hosts.js';
import { RemoteLink } from './remote-link.js';
import type { Waiting } from './call.js';

/** Options of a `RemoteServing`: those of a `BatchServing`, and how its hosts are chosen and watched. */
export interface RemoteServingOptions<In, Out, Hook extends string = never, Mapped = In, Raw = Out> extends Omit<
  ServingOptions<undefined, Hook>,
  'init' | 'partitions' | 'name'
> {
  /** The connection of `connect()` in `@nats-io/transport-node`. It stays open when the serving is closed. */
  connection: NatsConnection;
  /** The `name` of the hosts. */
  name: string;
  /** Messages under way at the same time. @default 16; 256 with `hooks` */
  partitions?: number | null | undefined;
  /** As in a `BatchServing`; runs here, at the caller. */
  mapInputs?: ((values: readonly In[]) => Awaitable<readonly Mapped[]>) | null | undefined;
  /** As in a `BatchServing`; runs here, at the caller. */
  mapResults?: ((results: readonly Raw[]) => Awaitable<readonly Out[]>) | null | undefined;
  /**
   * `'pack'` fills a host's batch before it begins one on another, and when all are at work takes the one whose answer is due
   * next; `'least'` takes the less loaded of two hosts, `'queue'` lets the server choose.
   *
   * @default 'pack'
   */
  balance?: Balance | undefined;
  /** Whether values that a lost host had may be executed again; if not, callers get `HostLostError`. @default true */
  idempotent?: boolean | undefined;
  /** How often a batch is sent before its callers get `HostLostError` or `NoHostError`. @default 8 */
  maxAttempts?: number | undefined;
  /** Milliseconds without an answer to a call after which its host is probed. @default 100 */
  probeAfter?: number | undefined;
  /**
   * Milliseconds in which a probed host must answer. A handler that blocks the event loop of its host for longer looks dead, and its
   * work is done twice: give it worker partitions.
   *
   * @default 1000
   */
  probeTimeout?: number | undefined;
}

/**
 * A `BatchServing` whose handler runs on other machines, wherever a `ServingHost` of the same name is. Its verbs, bounds,
 * aborts and maps work as at home; values, results and payloads of hooks cross as JSON.
 *
 * With `hooks` each value is a batch of its own here, so that its events reach its caller alone; the hosts batch them.
 */
export class RemoteServing<In, Out, Hook extends string = never, Mapped = In, Raw = Out> extends BatchServing<
  In,
  Out,
  undefined,
  Hook,
  unknown,
  Mapped,
  Raw
> {
  readonly #link: RemoteLink;

  /** @throws OptionsError */
  constructor(options: RemoteServingOptions<In, Out, Hook, Mapped, Raw>) {
    const { connection, balance, idempotent, maxAttempts, probeAfter, probeTimeout, ...rest } = options;
    const { name, hooks, partitions, batchSize, batchTimeout, clock } = rest;
    checkOptions('RemoteServing', { connection, name }, ['connection', 'name']); // a serving checks its own
    if (idempotent !== undefined && typeof idempotent !== 'boolean')
      throw new OptionsError(
        'RemoteServing: idempotent must be true or false',
        'idempotent',
        'true or false',
        idempotent,
      );
    for (const [option, value] of Object.entries({ maxAttempts, probeAfter, probeTimeout })) {
      checkNumber('RemoteServing', option, value, 1);
    }
    const checked = checkBalance(balance ?? 'pack');
    const streams = (hooks?.length ?? 0) > 0;
    const handleBatch: Handler<Mapped, Raw, undefined, Hook> = (values, context) => {
      const now = (): number => clock?.now() ?? performance.now();
      const largest = largestMessage(connection) - headroom;
      return executeRemotely(link, values, context, { hooks: streams, now, largest }) as Promise<(Raw | Error)[]>;
    };
    super({
      ...rest,
      partitions: partitions ?? (streams ? 256 : 16),
      batchSize: streams ? 1 : (batchSize ?? 256),
      batchTimeout: batchTimeout ?? 0,
      handleBatch,
    } as unknown as PlainOptions<In, Out, undefined, Hook, unknown>);
    // After the options were found sound: it subscribes.
    const link = new RemoteLink({
      connection,
      name,
      balance: checked,
      idempotent: idempotent ?? true,
      maxAttempts: maxAttempts ?? 8,
      probeAfter: probeAfter ?? 100,
      probeTimeout: probeTimeout ?? 1000,
    });
    this.#link = link;
  }

  /** The hosts that are known, and how many values each has. */
  get hosts(): readonly { id: string; pending: number; draining: boolean }[] {
    return [...this.#link.hosts.all()].map(({ card: { id, draining }, load }) => ({ id, pending: load, draining }));
  }

  /** Messages sent, batches repeated, hosts lost, answers of hosts without room, batches cancelled because no caller waited. */
  get network(): Readonly<RemoteLink['counts']> {
    return this.#link.counts;
  }

  /** As in a `BatchServing`; then leaves the hosts. The connection stays open. */
  override async close(options?: ServingCloseOptions): Promise<void> {
    try {
      await super.close(options);
    } finally {
      this.#link.close();
    }
  }
}

async function executeRemotely(
  link: RemoteLink,
  values: readonly unknown[],
  context: ServingContext<undefined, string>,
  { hooks, now, largest }: { hooks: boolean; now: () => number; largest: number },
): Promise<unknown[]> {
  const waiting: Waiting = {
    signal: context.signal,
    left: () => context.deadline - now(),
    hooks,
    event: (hook, payload) => {
      // A host may have more hooks than its caller asks for.
      (context.hooks as Partial<typeof context.hooks>)[hook]?.all(payload);
    },
  };
  const results = new Array<unknown>(values.length);
  const parts = partsOf(values, results, link.hosts.room, largest);
  await Promise.all(
    parts.map(async ({ indexes, encoded }) => {
      const received = await link.execute(encoded, waiting);
      indexes.forEach((index, at) => {
        results[index] = received[at];
      });
    }),
  );
  return results;
}

// Typed more exactly: for a function and for `undefined` it returns `undefined`.
const encode = JSON.stringify as (value: unknown) => string | undefined;

interface Part {
  readonly indexes: number[];
  readonly encoded: string[];
}

/** Bytes of values in one message that holds several. The smallest limit that servers are given in practice is above. */
const largestPart = 512 * 1024;
/** Bytes of a message that are not its values. */
const headroom = 8192;

/**
 * Encodes the values, in parts that a host has room for. A value that cannot be encoded, or is too large for a message, has
 * its error as its result.
 */
function partsOf(values: readonly unknown[], results: unknown[], room: number, largest: number): Part[] {
  const parts: Part[] = [];
  let filled = 0;
  values.forEach((value, index) => {
    let text: string;
    try {
      text = encode(value) ?? 'null';
    } catch (error) {
      results[index] = error instanceof Error ? error : new TypeError('a value cannot be encoded as JSON');
      return;
    }
    const bytes = Buffer.byteLength(text) + 1;
    if (bytes > largest) {
      results[index] = new TooLargeError(`a value of ${bytes} bytes, and a message takes ${largest}`);
      return;
    }
    const last = parts.at(-1);
    if (last === undefined || last.encoded.length >= room || filled + bytes > Math.min(largestPart, largest)) {
      parts.push({ indexes: [index], encoded: [text] });
      filled = bytes;
      return;
    }
    last.indexes.push(index);
    last.encoded.push(text);
    filled += bytes;
  });
  return parts;
}
