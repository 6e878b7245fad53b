import { setTimeout as sleep } from 'node:timers/promises';
import type { Simulation as State } from '../protocol.js';
import type { BatchLog } from './batch-log.js';
import type { Chunk } from './embedder.js';
import type { Embedding } from './embedding.js';
import { shareOf } from './progress-hook.js';

const NAMES = ['Ada', 'Ben', 'Cleo', 'Dan', 'Eve', 'Finn', 'Gia', 'Hugo'];
const PREFIX = 'simulated:';
/** Milliseconds after which they go home by themselves. */
const DURATION = 20_000;
/** Chunks of a job, and milliseconds between them and between two jobs. */
const CHUNKS = { least: 4, most: 14 };
const BETWEEN_CHUNKS = { least: 0, most: 3 };
const BETWEEN_JOBS = { least: 5, most: 25 };

const WORDS = (
  'invoice meeting garden ticket recipe battery printer summer holiday salary contract window update password train ' +
  'coffee budget customer delivery school'
).split(' ');

/** The user of a simulated job; `undefined` for a job that is none. */
export function simulatedUserOf(job: string): string | undefined {
  return job.startsWith(PREFIX) ? job.slice(PREFIX.length) : undefined;
}

/**
 * Eight users who submit small jobs to the serving that all jobs use, one after the other. Their vectors are dropped:
 * nothing of them is stored.
 */
export class Simulation {
  readonly #embedding: Embedding;
  readonly #batches: BatchLog;
  readonly #onChange: () => void;
  #running: AbortController | undefined;

  constructor(embedding: Embedding, batches: BatchLog, onChange: () => void) {
    this.#embedding = embedding;
    this.#batches = batches;
    this.#onChange = onChange;
  }

  get state(): State {
    const running = this.#running !== undefined;
    const users = running ? NAMES.map((name) => ({ name, colour: this.#batches.colourOf(name) })) : [];
    return { running, users };
  }

  start(): void {
    if (this.#running !== undefined) return;
    const running = (this.#running = new AbortController());
    const timer = setTimeout(() => this.stop(), DURATION);
    running.signal.addEventListener('abort', () => clearTimeout(timer));
    for (const name of NAMES) {
      // Whatever fails here is reported with the jobs of real users, who use the same serving.
      this.#work(name, running.signal).catch(() => this.stop());
    }
    this.#onChange();
  }

  stop(): void {
    if (this.#running === undefined) return;
    this.#running.abort();
    this.#running = undefined;
    this.#onChange();
  }

  async #work(name: string, signal: AbortSignal): Promise<void> {
    const job = `${PREFIX}${name}`;
    await sleep(between({ least: 0, most: 400 }), undefined, { signal });
    while (!signal.aborted) {
      for await (const event of this.#embedding.stream(job, chunksOf(name, job), signal)) {
        if (event.type !== 'progress') continue;
        const share = shareOf(this.#embedding.way, job, event.payload);
        if (share !== undefined) this.#batches.note(share);
      }
      await sleep(between(BETWEEN_JOBS), undefined, { signal });
    }
  }
}

async function* chunksOf(name: string, job: string): AsyncGenerator<Chunk> {
  for (let left = between(CHUNKS); left > 0; left -= 1) {
    await sleep(between(BETWEEN_CHUNKS));
    const words = Array.from({ length: 12 }, () => WORDS[between({ least: 0, most: WORDS.length - 1 })]);
    yield { job, text: `${name} notes: ${words.join(' ')}` };
  }
}

function between({ least, most }: { least: number; most: number }): number {
  return least + Math.floor(Math.random() * (most - least + 1));
}
