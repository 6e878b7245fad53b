import type { Awaitable } from '../../src/index.js';
import type { FileSystem, OpenFile } from './file-system.js';
import { fileName, parseName } from './format.js';

/** Writes until all bytes are out: a short write is how a full disk announces itself. */
export function writeAll(file: OpenFile, bytes: Uint8Array, position: number): Awaitable<void> {
  let done = 0;
  const goOn = (count: number): Awaitable<void> => {
    if (!(count > 0)) throw new Error('nothing was written');
    done += count;
    return step();
  };
  const step = (): Awaitable<void> => {
    if (done === bytes.byteLength) return;
    const count = file.write(done === 0 ? bytes : bytes.subarray(done), position + done);
    return typeof count === 'number' ? goOn(count) : count.then(goOn);
  };
  return step();
}

/** Appends many small pieces in large writes. */
export class Writer {
  readonly #file: OpenFile;
  readonly #buffer = Buffer.allocUnsafe(64 * 1024);
  #filled = 0;
  bytes = 0;

  constructor(file: OpenFile) {
    this.#file = file;
  }

  async add(piece: Uint8Array): Promise<void> {
    if (this.#filled + piece.byteLength > this.#buffer.length) await this.#empty();
    if (piece.byteLength > this.#buffer.length) {
      await writeAll(this.#file, piece, this.bytes);
    } else {
      this.#buffer.set(piece, this.#filled);
      this.#filled += piece.byteLength;
    }
    this.bytes += piece.byteLength;
  }

  /** Everything is in the file, and with `sync` on the disk, when it resolves. */
  async finish(sync = true): Promise<void> {
    await this.#empty();
    if (sync) await this.#file.sync();
  }

  async #empty(): Promise<void> {
    const bytes = this.#buffer.subarray(0, this.#filled);
    this.#filled = 0;
    if (bytes.length > 0) await writeAll(this.#file, bytes, this.bytes - bytes.length);
  }
}

/** Runs tasks one after another; at once, and without a promise, while no other task runs. */
export class Turns {
  #last: Promise<unknown> | undefined;

  take<T>(work: () => Awaitable<T>): Awaitable<T> {
    const result = this.#last === undefined ? work() : this.#last.then(work);
    if (!isPromise(result)) return result;
    const last: Promise<unknown> = Promise.resolve(result).then(
      () => this.#end(last),
      () => this.#end(last),
    );
    this.#last = last;
    return result;
  }

  #end(ended: Promise<unknown>): void {
    if (this.#last === ended) this.#last = undefined;
  }
}

function isPromise<T>(value: Awaitable<T>): value is PromiseLike<T> {
  return typeof (value as PromiseLike<T> | undefined)?.then === 'function';
}

/** Closes and removes what is of no use any more, whatever state it is in. */
export function discard(files: FileSystem, file: OpenFile | undefined, path: string): void {
  try {
    file?.close();
  } catch {
    // Closed or not, it is of no use.
  }
  try {
    files.remove(path);
  } catch {
    // A temporary one is removed by the next open.
  }
}

export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('of no known kind', { cause: error });
}

/** The name, or one made from it that no file in the directory has. */
export function freeName(files: FileSystem, directory: string, name: string): string {
  let free = name;
  while (files.stat(`${directory}/${free}`) !== undefined) {
    const parsed = parseName(name);
    free = parsed === undefined ? `${files.nonce()}-${name}` : fileName({ ...parsed, nonce: files.nonce() });
  }
  return free;
}

/** Bytes that `copyRange` reads at once. */
const BLOCK = 256 * 1024;

/** Copies the bytes from `from` up to `to` to the same place in another file. */
export async function copyRange(source: OpenFile, target: OpenFile, from: number, to: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(BLOCK);
  for (let at = from; at < to;) {
    const count = await source.read(buffer.subarray(0, Math.min(BLOCK, to - at)), at);
    if (count <= 0) throw new Error('the file was cut short');
    await writeAll(target, buffer.subarray(0, count), at);
    at += count;
  }
}

/** Closes a file that is of no use any more, whatever state its descriptor is in. */
export function closeQuietly(file: OpenFile | undefined): void {
  try {
    file?.close();
  } catch {
    // Nothing can be done about it, and nothing depends on it.
  }
}
