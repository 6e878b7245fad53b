import { Calls } from './calls.js';
import type { BatchServerConfig, BatchServerEvents, BatchServerOptions, BatchServerStatus } from './types.js';
import { type AnyHooks, type Batch, Loop } from './loop.js';
import { type Entry, Mailbox } from './mailbox.js';
import { checkFirst } from './next.js';
import { MissingHookError, StoppedError, TimeoutError, messageOf } from '../errors.js';
import { Events } from '../events.js';
import { type Awaitable, Deferred } from '../core/promise.js';
import { type Clock, endOfTurn, within } from '../core/clock.js';
import { Engine, type Left } from '../core/engine.js';
import { Room } from '../core/admission.js';

/** How long `terminate` may take, in milliseconds: without a timeout of `stop`, and at least with one. */
const TERMINATE_PATIENCE = 30_000;
const TERMINATE_GRACE = 1000;

/** A batch server from its start to its end: its parts, and who is told when it is over. */
export class Life {
  readonly mailbox: Mailbox;
  readonly loop: Loop;
  readonly engine: Engine<Entry, Batch>;
  readonly calls: Calls;
  readonly room: Room;
  readonly events = new Events<BatchServerEvents>();
  /** A message is accepted without further questions while fewer are pending; never once it takes no more. */
  admits: number;
  /** A message is accepted without any question. */
  open: boolean;
  suspended = false;
  readonly #server: AnyHooks;
  readonly #clock: Clock;
  readonly #started = new Deferred();
  readonly #ended = new Deferred<unknown>();
  #status: 'starting' | 'running' | 'ignored' | 'stopped' = 'starting';
  /** Whether `init` has made a state for `terminate` to release. */
  #made = false;
  /** Why it ends. */
  #ending: { reason: unknown; failed: boolean } | undefined;
  #shutting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  /** What `stop` could not wait for any more. */
  #late = false;
  resume: (() => void) | undefined;

  constructor(
    server: AnyHooks,
    readonly config: BatchServerConfig,
    clock: Clock,
  ) {
    this.#server = server;
    this.#clock = clock;
    this.admits = config.maxPending;
    this.open = config.maxPending === Infinity;
    this.calls = new Calls(config.name, clock);
    this.mailbox = new Mailbox(clock, this.calls, config.hardLimit);
    this.loop = new Loop(server, config, clock, this.mailbox);
    this.engine = new Engine(this.loop, this.loop.size.limits, this.mailbox.time, clock.now(), false);
    const { ledger } = this.engine;
    this.room = new Room(
      config.maxPending,
      () => ledger.pending,
      () => undefined, // nobody here waits for a batch to fill
    );
    if (config.maxPending < Infinity) {
      this.loop.admit = () => {
        this.room.admit();
      };
    }
    this.loop.onEnd = (reason, failed) => {
      this.#halt(reason, failed);
    };
  }

  get status(): BatchServerStatus {
    return this.#status === 'running' && this.suspended ? 'suspended' : this.#status;
  }

  get ended(): Promise<unknown> {
    return this.#ended.promise;
  }

  /** It neither runs nor will. */
  get over(): boolean {
    return this.#status === 'stopped' || this.#status === 'ignored';
  }

  stoppedError(): StoppedError {
    const { name } = this.config;
    if (this.#status === 'ignored') return new StoppedError(`${name} did not start: init declined`, 'ignored');
    if (this.#ending === undefined) return new StoppedError(`${name} has stopped`, undefined);
    const { reason, failed } = this.#ending;
    return new StoppedError(`${name} has stopped: ${messageOf(reason)}`, reason, failed ? reason : undefined);
  }

  /** Occupies the server instead of a batch: as soon as no other runs, and before any that waits. */
  occupy(task: () => Awaitable<void>, pause = false): void {
    this.engine.adopt({ ops: [], task, pause }, 0, 0);
    this.engine.turn();
  }

  // The beginning

  begin(args: unknown): Promise<void> {
    this.occupy(() => this.#init(args));
    return this.#started.promise;
  }

  async #init(args: unknown): Promise<void> {
    const { loop } = this;
    const first = await this.#first(args);
    if (loop.over || first === undefined) return;
    if (first === 'ignore') {
      this.#status = 'ignored';
      this.#halt('ignored', false);
      this.#started.resolve();
      return;
    }
    if (first.stop !== undefined) {
      this.#halt(first.stop, false);
      this.#started.reject(this.stoppedError());
      return;
    }
    const term = loop.adopt(first);
    this.#made = true;
    this.#status = 'running';
    this.#started.resolve();
    if (term !== undefined) {
      // Whoever started it hears of that before the chain.
      await new Promise<void>((resolve) => endOfTurn(this.#clock, resolve));
      await loop.continue(term);
    } else loop.finish();
  }

  async #first(args: unknown): Promise<ReturnType<typeof checkFirst> | undefined> {
    try {
      for (const hook of ['init', 'handleBatch'] as const) {
        if (typeof this.#server[hook] !== 'function') throw new MissingHookError(hook, this.config.name, false);
      }
      return checkFirst(await this.#server.init(args));
    } catch (error) {
      this.#halt(error, true);
      this.#started.reject(error);
      return undefined;
    }
  }

  // The end

  stop(reason: unknown, timeout: number, drain: boolean): Promise<void> {
    this.#stopping ??= this.#stop(reason, timeout, drain);
    return this.#stopping;
  }

  #stop(reason: unknown, timeout: number, drain: boolean): Promise<void> {
    const stopped = new Deferred();
    if (this.#status === 'stopped') stopped.resolve();
    else {
      this.#ending ??= { reason, failed: false };
      const { failed } = this.#ending; // on its way down already
      void this.#shut(timeout, drain).then(() => {
        if (this.#late) stopped.reject(new TimeoutError(`stopping ${this.config.name}`, timeout));
        else if (this.#ending?.failed === true && !failed) stopped.reject(this.stoppedError());
        else stopped.resolve();
      });
    }
    return stopped.promise;
  }

  /** A hook failed, or asked to stop: what has not been taken will not be, even if it was draining. */
  #halt(reason: unknown, failed: boolean): void {
    this.#ending = { reason, failed };
    this.#giveUp();
    void this.#shut(Infinity, false);
  }

  #shut(timeout: number, drain: boolean): Promise<void> {
    if (this.#shutting !== undefined) return this.#shutting;
    const shut = new Deferred();
    // Before anything else: the hooks that run now may call back.
    this.#shutting = shut.promise;
    this.admits = -1;
    this.open = false;
    const deadline = this.#clock.now() + timeout;
    // Or those who wait for room would be let in to what is being given up.
    this.room.close();
    // At once, since it may be a hook that asks, and the turn under way would go on to the next batch.
    if (!drain) this.#giveUp();
    const closed = this.engine.close(timeout, drain);
    void closed
      .then((left) => this.#finish(left, deadline, drain))
      .then(() => {
        shut.resolve();
      });
    this.resume?.();
    return this.#shutting;
  }

  /** Nothing more is taken from the mailbox. */
  #giveUp(): void {
    this.engine.intake.abandon(this.stoppedError());
  }

  async #finish({ batches, entries }: Left<Batch>, deadline: number, drain: boolean): Promise<void> {
    const { loop } = this;
    this.#late = batches.some(({ pause }) => !pause) || (drain && entries > 0);
    loop.over = true;
    for (const { ops } of batches) loop.counts.failed += ops.length;
    if (this.#made) await this.#terminate(deadline);
    if (this.#status !== 'ignored') this.#status = 'stopped';
    const reason = this.#ending?.reason;
    const error = this.stoppedError();
    this.#started.reject(error);
    loop.failInterludes(error);
    this.calls.failAll(error);
    this.mailbox.rest();
    if (this.#status === 'stopped') this.#tell(reason);
    this.#ended.resolve(reason);
  }

  async #terminate(deadline: number): Promise<void> {
    const { loop, config } = this;
    if (this.#server.terminate === undefined) return;
    const summary = config.summaryCount === undefined ? undefined : loop.left;
    const patience =
      deadline === Infinity ? TERMINATE_PATIENCE : Math.max(deadline - this.#clock.now(), TERMINATE_GRACE);
    const run = async (): Promise<void> => {
      await this.#server.terminate?.(this.#ending?.reason, loop.state, summary); // its ops are of their types
    };
    try {
      await within(this.#clock, patience, run(), () => {
        loop.report(`terminate took longer than ${patience} ms`, undefined);
      });
    } catch (error) {
      loop.report('terminate failed', error);
    }
  }

  #tell(reason: unknown): void {
    const { name } = this.config;
    const { dropped } = this.loop.counts;
    this.events.emit('stopped', { name, reason, dropped });
    if (this.#ending?.failed === true && this.#made && !this.events.has('stopped')) {
      this.loop.report('stopped, since a hook failed', reason);
    }
  }
}

/** The options in force. */
export function configOf(className: string, options: BatchServerOptions): BatchServerConfig {
  const maxBatchSize = options.maxBatchSize ?? 8192;
  const flushMailbox = options.flushMailboxOnTerminate;
  return Object.freeze({
    minBatchSize: options.minBatchSize ?? Math.min(32, maxBatchSize),
    maxBatchSize,
    batchSizeGrowth: options.batchSizeGrowth ?? 'exponential',
    reversedBatch: options.reversedBatch ?? false,
    summaryCount: flushMailbox == null || flushMailbox === false ? undefined : flushMailbox.summaryCount,
    hardLimit: options.hardLimit ?? false,
    maxPending: options.maxPending ?? Infinity,
    overflow: options.overflow ?? 'wait',
    name: options.name ?? className,
  });
}
