import { isInside, readDocument } from '../documents.js';
import { rowsOf } from '../section-table.js';
import type { SectionRow } from '../section-table.js';
import { splitSections } from '../sections.js';
import type { BatchLog } from './batch-log.js';
import type { ChunkTable } from './chunk-table.js';
import type { DatabaseWatch } from './database-watch.js';
import { countDocuments, documentsOf, shownPath } from './documents-of.js';
import type { Document } from './documents-of.js';
import { now } from './embedder.js';
import type { Chunk } from './embedder.js';
import type { Embedding } from './embedding.js';
import type { JobProgress } from './job-progress.js';
import type { StoredJob } from './job-store.js';
import { shareOf } from './progress-hook.js';
import type { RowBatcher } from './row-batcher.js';

/** Sections of whole documents. */
interface Group {
  sections: SectionRow[];
  files: number;
}

const LOOKED_UP_AT_ONCE = 500;

/** What all jobs share. */
export interface Workshop {
  database: DatabaseWatch;
  table: ChunkTable;
  embedding: Embedding;
  rows: RowBatcher;
  batches: BatchLog;
  /** Vectors have come. */
  onEmbedded(): void;
  /** Chunks of one job that may wait for their vectors: fewer than fit into a batch as soon as other jobs run. */
  window(): number;
}

/** A section as people know it. */
export function placeOf({ path, heading }: SectionRow): string {
  return heading === '' ? shownPath(path) : `${shownPath(path)} › ${heading}`;
}

/** One job from its documents to the table: read, embedded and stored, until all is stored or `signal` aborts. */
export class JobRun {
  readonly #stored: StoredJob;
  readonly #progress: JobProgress;
  readonly #shop: Workshop;
  readonly #signal: AbortSignal;
  /** Submitted and not answered; as many as the serving looks ahead. */
  readonly #submitted: { section: SectionRow; at: number }[] = [];
  /** Called when one of them is answered. */
  #answered: (() => void) | undefined;
  readonly #paths = new Set<string>();
  #wholeTree = true;

  constructor(stored: StoredJob, progress: JobProgress, shop: Workshop, signal: AbortSignal) {
    this.#stored = stored;
    this.#progress = progress;
    this.#shop = shop;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    this.#signal.addEventListener('abort', () => this.#answered?.(), { once: true });
    const { job, source, refresh } = this.#stored;
    const { database, table, rows } = this.#shop;
    this.#progress.restart();
    this.#progress.move('reading');
    const total = await countDocuments(source, this.#signal);
    this.#signal.throwIfAborted();
    job.files.total = total;

    await this.#embedAll();
    await rows.settle(this.#signal);
    const finish = async (): Promise<number> => {
      if (this.#wholeTree && source.kind === 'directory') await this.#forgetVanished(source.path);
      if (refresh) await table.unlinkVanished(job.id);
      return table.storedBy(job.id);
    };
    job.chunks.stored = await database.patiently(finish, this.#signal);
  }

  async #embedAll(): Promise<void> {
    const { embedding, rows, batches } = this.#shop;
    const { id } = this.#stored.job;
    const signal = this.#signal;
    for await (const event of embedding.stream(id, this.#chunks(), signal)) {
      if (event.type === 'progress') {
        const share = shareOf(embedding.way, id, event.payload);
        if (share === undefined) continue;
        batches.note(share);
        this.#progress.embedded(share);
        this.#shop.onEmbedded();
        continue;
      }
      for (const { vector, refused, at } of event.output) {
        const submitted = this.#submitted.shift();
        this.#answered?.();
        if (submitted === undefined) throw new Error('there are more vectors than chunks');
        this.#progress.answered(at - submitted.at);
        if (refused !== undefined) {
          this.#progress.chunkRefused(placeOf(submitted.section), new Error(refused));
          continue;
        }
        // Waits while a full batch of rows is being stored, and so nothing more is read than can be stored.
        await rows.syncAddItem({ job: id, section: submitted.section, vector }, { signal });
      }
    }
    signal.throwIfAborted();
  }

  /** Pulled by the serving: documents are read no faster than they are embedded and stored. */
  async *#chunks(): AsyncGenerator<Chunk> {
    let group: Group = { sections: [], files: 0 };
    for await (const { path, file } of this.#documents()) {
      if (this.#signal.aborted) return;
      const text = await readDocument(file).catch((error: unknown) => {
        this.#progress.fileFailed(shownPath(path), error);
      });
      if (text === undefined) continue;
      group.sections.push(...rowsOf(path, splitSections(text)));
      group.files += 1;
      if (this.#stored.refresh && group.sections.length < LOOKED_UP_AT_ONCE) continue;
      yield* this.#submit(group);
      group = { sections: [], files: 0 };
    }
    yield* this.#submit(group);
    this.#progress.readingEnded();
  }

  async *#documents(): AsyncGenerator<Document> {
    const { job, source } = this.#stored;
    const complain = (path: string, error: unknown): void => {
      this.#wholeTree = false;
      this.#progress.fileFailed(path, error);
    };
    for await (const document of documentsOf(job.id, source, complain)) {
      this.#paths.add(document.path);
      yield document;
    }
  }

  async *#submit({ sections, files }: Group): AsyncGenerator<Chunk> {
    for (const section of await this.#missing(sections)) {
      this.#progress.read();
      // Or one long job would fill every batch by itself, and the chunks of the others would have to queue behind it.
      while (this.#submitted.length >= this.#shop.window()) {
        await new Promise<void>((resolve) => (this.#answered = resolve));
        this.#signal.throwIfAborted();
      }
      this.#submitted.push({ section, at: now() });
      yield { job: this.#stored.job.id, text: `${section.heading}\n${section.content}` };
    }
    this.#progress.filesDone(files);
  }

  /** What is stored already, by the job in an earlier process or by another job, only has to be looked up. */
  async #missing(sections: SectionRow[]): Promise<SectionRow[]> {
    if (!this.#stored.refresh || sections.length === 0) return sections;
    const { database, table } = this.#shop;
    const ids = sections.map(({ id }) => id);
    const found = await database.patiently(() => table.link(this.#stored.job.id, ids), this.#signal);
    this.#progress.found(found.size);
    return sections.filter(({ id }) => !found.has(id));
  }

  /** The rows of documents under the directory that are no longer there. */
  async #forgetVanished(directory: string): Promise<void> {
    const { sections } = this.#shop.table;
    const paths = await sections.paths();
    const vanished = paths.filter((path) => !this.#paths.has(path) && isInside(directory, path));
    if (vanished.length > 0) await sections.forget(vanished);
  }
}
