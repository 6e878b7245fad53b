import { fsyncSync, openSync, writeSync } from 'node:fs';
import type { RecordBatch } from './collector.js';

/** Appends the records of batches that are given up. Opened at the start, so that a wrong path is an error of the call. */
export class DeadFile {
  readonly #descriptor: number;
  readonly #separator: number;

  constructor(path: string, separator: number) {
    try {
      this.#descriptor = openSync(path, 'a', 0o600);
    } catch (error) {
      throw new Error(`--dead must be a file that can be written: ${(error as Error).message}`, { cause: error });
    }
    this.#separator = separator;
  }

  write({ buffers }: RecordBatch): void {
    for (const buffer of buffers) this.#write(buffer);
    // The last record of the input may have none, and more may follow here.
    const last = buffers.at(-1)?.at(-1);
    if (last !== undefined && last !== this.#separator) this.#write(Buffer.of(this.#separator));
    fsyncSync(this.#descriptor);
  }

  #write(buffer: Buffer): void {
    for (let at = 0; at < buffer.length;) at += writeSync(this.#descriptor, buffer, at);
  }
}
