import { join } from 'node:path';
import type { FileBatcherEvents } from './contract.js';
import type { FileSystem, OpenFile } from './file-system.js';
import { QUARANTINE } from './format.js';
import { Writer, discard } from './writing.js';

interface Folder {
  readonly files: FileSystem;
  readonly measure: { addAside(bytes: number): void };
  path(name: string): string;
  sync(folder: string): Promise<void>;
  report(event: 'quarantined', payload: FileBatcherEvents['quarantined'], warning: string): void;
}

/** A copy of the bytes of one file that are no good lines; it is made with the first of them. */
export class Quarantine {
  lines = 0;
  bytes = 0;
  readonly #spool: Folder;
  readonly #path: string;
  #file: OpenFile | undefined;
  #writer: Writer | undefined;

  constructor(spool: Folder, name: string) {
    this.#spool = spool;
    this.#path = spool.path(join(QUARANTINE, `${name}.${spool.files.nonce()}.bad`));
  }

  async add(bytes: Uint8Array, lines = 1): Promise<void> {
    if (this.#writer === undefined) {
      await this.#spool.files.makeDirectory(this.#spool.path(QUARANTINE), true);
      this.#file = this.#spool.files.create(this.#path);
      this.#writer = new Writer(this.#file);
    }
    await this.#writer.add(bytes);
    this.lines += lines;
    this.bytes += bytes.byteLength;
  }

  /** The copy is on the disk when it resolves; only then may the bytes go. */
  async finish(id: string): Promise<void> {
    if (this.#writer === undefined) return;
    await this.#writer.finish();
    this.#file?.close();
    this.#writer = undefined;
    await this.#spool.sync(QUARANTINE);
    this.#spool.measure.addAside(this.bytes);
    const { lines, bytes } = this;
    const filename = this.#path;
    this.#spool.report('quarantined', { id, lines, bytes, filename }, `damaged lines were moved to ${filename}`);
  }

  /** Removes an incomplete copy. */
  abandon(): void {
    if (this.#writer !== undefined) discard(this.#spool.files, this.#file, this.#path);
    this.#writer = undefined;
  }
}
