/** Milliseconds between two looks of the live line. */
const LIVE = 200;
const NAME = 'batch-please pipe';

/** Counted by record. */
export interface Totals {
  read: number;
  delivered: number;
  givenUp: number;
  batches: number;
  failedRuns: number;
  /** Found in the spool. */
  recovered: number;
}

/** Writes to standard error: lines everywhere, and on a terminal one line that is kept up to date. */
export class Report {
  readonly totals: Totals = { read: 0, delivered: 0, givenUp: 0, batches: 0, failedRuns: 0, recovered: 0 };
  readonly #began = performance.now();
  readonly #live: ReturnType<typeof setInterval> | undefined;

  constructor(running: () => number) {
    // The reader has closed the pipe: the work goes on.
    process.stderr.on('error', () => undefined);
    if (!process.stderr.isTTY) return;
    this.#live = setInterval(() => {
      process.stderr.write(`\r${this.#line(running())}\u001b[K`);
    }, LIVE);
    this.#live.unref();
  }

  say(message: string): void {
    const erase = this.#live === undefined ? '' : '\r\u001b[K';
    process.stderr.write(`${erase}${NAME}: ${message}\n`);
  }

  end(summary: boolean): void {
    clearInterval(this.#live);
    if (summary) this.say(this.#summary());
    else if (this.#live !== undefined) process.stderr.write('\r\u001b[K');
  }

  #line(running: number): string {
    const { read, recovered, delivered, givenUp, batches, failedRuns } = this.totals;
    const pending = Math.max(read + recovered - delivered - givenUp, 0);
    const rate = delivered / Math.max((performance.now() - this.#began) / 1000, 0.001);
    const parts = [`${show(delivered)} delivered in ${show(batches)} batches`, `${show(pending)} waiting`];
    if (running > 0) parts.push(`${show(running)} running`);
    if (failedRuns > 0) parts.push(`${show(failedRuns)} failed runs`);
    if (givenUp > 0) parts.push(`${show(givenUp)} given up`);
    return `${parts.join(' · ')} · ${show(Math.round(rate))}/s`.slice(
      0,
      Math.max((process.stderr.columns || 80) - 1, 20),
    );
  }

  #summary(): string {
    const { delivered, givenUp, batches, failedRuns, recovered } = this.totals;
    const seconds = (performance.now() - this.#began) / 1000;
    const parts = [`${count(delivered, 'record')} delivered in ${count(batches, 'batch', 'batches')}`];
    if (recovered > 0) parts.push(`${show(recovered)} of them from the spool`);
    if (failedRuns > 0) parts.push(count(failedRuns, 'failed run'));
    if (givenUp > 0) parts.push(`${show(givenUp)} given up`);
    return `${parts.join(', ')}, ${seconds < 10 ? seconds.toFixed(2) : seconds.toFixed(0)} s`;
  }
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${show(number)} ${number === 1 ? one : many}`;
}

function show(number: number): string {
  return number.toLocaleString('en-US');
}
