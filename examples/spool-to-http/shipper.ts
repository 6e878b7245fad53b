import { createReadStream } from 'node:fs';
import { type FlushContext } from 'batch-please';
import { FileBatcher, type FileBatch } from 'batch-please/collectors/file';

export type Event = Record<string, unknown>;

export interface ShipperOptions {
  /** Where events wait on disk. */
  directory: string;
  /** Where they go: a POST of one JSON object per line. */
  url: string;
}

/** Keeps events on disk until an HTTP endpoint has taken them. */
export class Shipper extends FileBatcher<Event> {
  readonly #url: string;

  constructor({ directory, url }: ShipperOptions) {
    super({
      batchDirectory: directory,
      durability: 'item', // an event that is acknowledged survives a power cut as well
      maxBatchSize: 1000,
      maxTimeSinceFirstItem: 200,
      maxBytes: 1024 ** 3, // beyond it, callers that add events wait
      flushTimeout: 30_000,
      retry: { minDelay: 200, maxDelay: 30_000 },
    });
    this.#url = url;
  }

  /** A batch is a file of one event per line: it is sent as it is. The key lets the endpoint ignore one that it has. */
  override async batchFlush(batch: FileBatch<Event>, { id, signal }: FlushContext): Promise<void> {
    const response = await fetch(this.#url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': id },
      body: createReadStream(batch.filename),
      duplex: 'half',
      signal,
    });
    await response.arrayBuffer(); // or its connection would stay occupied
    if (!response.ok) throw new Error(`the endpoint answered ${response.status}`);
  }
}
