import type { FlushContext } from '../src/index.js';
import { type Collector, type Delivery, type RecordBatch, inMemory } from './pipe/collector.js';
import { Command, CommandError, whyNotRunnable } from './pipe/command.js';
import { Cutter } from './pipe/cutter.js';
import { DeadFile } from './pipe/dead-file.js';
import { type PipeOptions, USAGE, readPipeOptions } from './pipe/options.js';
import { Report, count } from './pipe/report.js';

/** The exit code. */
type Code = 0 | 1 | 2;

/** Milliseconds. A signal may come twice for one key press: from the terminal, and from npx. */
const ONE_PRESS = 250;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Reads records from standard input, and runs a command for each batch of them. */
export async function pipe(args: readonly string[]): Promise<Code> {
  try {
    const options = readPipeOptions(args);
    if (options === undefined) {
      process.stdout.write(USAGE);
      return 0;
    }
    // Before anything is read: a misspelt command loses nothing.
    const problem = whyNotRunnable(options.command);
    if (problem !== undefined) return wrong(problem);
    const dead = options.dead === undefined ? undefined : new DeadFile(options.dead, options.separator);
    return await new Pipe(options, dead).run();
  } catch (error) {
    return wrong(`${messageOf(error)}\nTry: batch-please pipe --help`);
  }
}

function wrong(message: string): Code {
  process.stderr.write(`batch-please pipe: ${message}\n`);
  return 2;
}

class Pipe {
  readonly #options: PipeOptions;
  readonly #dead: DeadFile | undefined;
  readonly #command: Command;
  readonly #report: Report;
  /** No more is read. */
  #stopped = false;
  /** Nothing is tried any more. */
  #halted = false;
  #inputEnded = false;
  #failed = false;
  #pressed = -Infinity;
  #collector: Collector | undefined;

  constructor(options: PipeOptions, dead: DeadFile | undefined) {
    this.#options = options;
    this.#dead = dead;
    this.#command = new Command(options);
    this.#report = new Report(() => this.#command.running);
  }

  async run(): Promise<Code> {
    const { totals } = this.#report;
    const collector = await this.#collect();
    this.#collector = collector;
    await collector.open();
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
    await this.#read(collector);
    this.#inputEnded = true;
    const all = await collector.finish();
    // A batch may also have vanished, or stay in the spool; one that was given up has been reported.
    if (!all && totals.givenUp === 0) this.#fail('not everything was delivered');
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
    this.#report.end(!this.#options.quiet);
    return this.#failed || !all ? 1 : 0;
  }

  async #collect(): Promise<Collector> {
    const { age, interval, concurrency, attempts, spool } = this.#options;
    const triggers = {
      maxTimeSinceFirstItem: age,
      flushInterval: interval,
      flushConcurrency: concurrency,
      retry: { attempts, delay: () => (this.#halted ? (false as const) : undefined) },
    };
    const delivery: Delivery = {
      deliver: (batch, context) => this.#deliver(batch, context),
      bury: (batch) => {
        this.#bury(batch);
      },
      failed: (error) => {
        // A command's has been reported; others are those of files.
        if (!(error instanceof CommandError)) this.#report.say(`a batch failed: ${messageOf(error)}`);
      },
    };
    if (spool === undefined) return inMemory(triggers, delivery);
    const { spooled } = await import('./pipe/spooled.js');
    return spooled(spool, triggers, delivery);
  }

  /** A call, since it changes while a command runs. */
  #isHalted(): boolean {
    return this.#halted;
  }

  // Reading

  async #read(collector: Collector): Promise<void> {
    const { totals } = this.#report;
    const { separator, size, bytes } = this.#options;
    const cutter = new Cutter({
      separator,
      size,
      bytes,
      filled: collector.filled,
      emit: (piece) => {
        totals.read += piece.records;
        collector.add(piece);
      },
    });
    try {
      for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
        cutter.feed(chunk);
        await collector.ready();
        if (this.#stopped) break;
      }
    } catch (error) {
      if (!this.#stopped) this.#fail(`cannot go on reading: ${messageOf(error)}`);
    }
    // After a failure the end of the last record has not been read.
    if (!this.#stopped && !this.#failed) cutter.finish();
    else if (cutter.incomplete > 0) {
      this.#report.say(`left out ${count(cutter.incomplete, 'byte')} of a record whose end was not read`);
    }
    await collector.ready().catch((error: unknown) => {
      this.#fail(messageOf(error));
    });
  }

  #fail(message: string): void {
    if (!this.#failed) this.#report.say(message);
    this.#failed = true;
  }

  readonly #onSignal = (): void => {
    const again = performance.now() - this.#pressed > ONE_PRESS;
    if (!again) return;
    this.#pressed = performance.now();
    if (this.#stopped) {
      this.#halt('ending now');
      return;
    }
    this.#stop();
    this.#report.say('no more is read; what was read is being delivered (again to end at once)');
  };

  #stop(): void {
    this.#stopped = true;
    process.stdin.destroy();
  }

  #halt(why: string): void {
    if (this.#halted) return;
    this.#halted = true;
    this.#report.say(why);
    this.#stop();
    this.#command.stop();
    if (this.#options.spool === undefined) this.#collector?.hurry();
    else void this.#leave();
  }

  /** Undelivered batches stay in the spool and are not given up, so no batch may end in the regular way. */
  async #leave(): Promise<void> {
    await this.#command.ended();
    this.#report.say(`what is not delivered stays in ${String(this.#options.spool)}`);
    this.#report.end(!this.#options.quiet);
    process.exit(1);
  }

  // Delivering

  async #deliver(batch: RecordBatch, { id, attempt, reason }: FlushContext): Promise<void> {
    const { totals } = this.#report;
    if (this.#halted) {
      if (this.#options.spool !== undefined) await new Promise(() => undefined); // until the process ends
      throw new CommandError('ended before it was tried');
    }
    try {
      if (batch.records > 0) {
        await this.#command.run(batch.buffers, {
          BATCH_ID: id,
          BATCH_SIZE: String(batch.records),
          BATCH_ATTEMPT: String(attempt),
          BATCH_REASON: this.#reasonOf(batch, reason),
        });
        totals.batches++;
      }
      totals.delivered += batch.records;
    } catch (error) {
      if (this.#options.spool !== undefined && this.#isHalted()) await new Promise(() => undefined);
      totals.failedRuns++;
      const { attempts } = this.#options;
      const of = attempts === Infinity ? '' : ` of ${attempts}`;
      this.#report.say(
        `a batch of ${count(batch.records, 'record')} failed: ${messageOf(error)}, attempt ${attempt}${of}`,
      );
      if (error instanceof CommandError && error.brokenPipe) this.#halt('nobody reads the output any more');
      throw error;
    }
  }

  #reasonOf({ full }: RecordBatch, reason: FlushContext['reason']): string {
    if (reason === 'shouldFlush') return full ?? 'size';
    return reason === 'demand' && this.#inputEnded ? 'close' : reason;
  }

  #bury(batch: RecordBatch): void {
    this.#dead?.write(batch);
    this.#report.totals.givenUp += batch.records;
    const { dead, spool } = this.#options;
    const where = dead ?? (spool === undefined ? undefined : `${spool}/dead`);
    const kept = where === undefined ? 'lost' : `kept in ${where}`;
    this.#report.say(`gave up a batch of ${count(batch.records, 'record')}: ${kept}`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
