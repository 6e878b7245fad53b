import * as fs from 'node:fs';
import { dirname } from 'node:path';
import type { Awaitable } from '../../src/index.js';
import { type Lock, lockDirectory, nonce } from './lock.js';
import { type Sync, syncInTurn } from './sync-slots.js';

/** The fields that are compared to find whether a name still leads to the same, unchanged file. */
export interface FileStat {
  readonly bytes: number;
  readonly device: number;
  readonly inode: number;
  /** When its content last changed, in milliseconds. */
  readonly modified: number;
  /** Bytes on disk; fewer than `bytes` for a file with holes. */
  readonly allocated: number;
  /** A file, and no directory, link or pipe. */
  readonly regular: boolean;
}

/**
 * The few calls that are used, so that a simulated file system can stand in.
 *
 * The synchronous ones are short by nature (a name, a few numbers, a small write into the page cache), and then about
 * twenty times cheaper than by way of a thread.
 */
export interface FileSystem {
  /**
   * Makes the directory and its missing parents, for this user only. With `sync` its name survives power loss once it
   * resolves, whichever process made it: one that was killed just then has not synced it.
   */
  makeDirectory(path: string, sync: boolean): Promise<void>;
  /** The names in a directory, in no order. */
  names(path: string): Promise<string[]>;
  /** Creates a file that must not exist yet, for this user only, to read and to write. */
  create(path: string): OpenFile;
  /** Opens a regular file of this user, to read, or to write as well; never waits for it, and follows no link. */
  open(path: string, mode: 'read' | 'write'): OpenFile;
  /** Stats of the name itself, following no link; `undefined` if there is no such name. */
  stat(path: string): FileStat | undefined;
  /** Atomic; replaces a file that has the new name. */
  rename(from: string, to: string): void;
  remove(path: string): void;
  /** Makes the names in it survive power loss. */
  syncDirectory(path: string): Promise<void>;
  /** Rejects with `LockedError` if a live process owns the directory. */
  lock(directory: string): Promise<Lock>;
  /** Milliseconds since 1970, for file names only. */
  wallClock(): number;
  /** 16 random hex digits. */
  nonce(): string;
}

export interface OpenFile {
  /** How many bytes were written, which may be less than given. Small writes answer at once. */
  write(bytes: Uint8Array, position: number): Awaitable<number>;
  /** How many bytes were read; 0 at the end. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** The content survives power loss. A failure is final for this descriptor: the next sync would lie. */
  sync(): Promise<void>;
  truncate(length: number): void;
  stat(): FileStat;
  close(): void;
}

/** Bytes; a larger write goes by way of a thread, since it could block the event loop for milliseconds. */
const LARGEST_SYNCHRONOUS_WRITE = 512 * 1024;

// On Windows these do not exist.
const { O_NOFOLLOW = 0, O_NONBLOCK = 0 } = fs.constants as Partial<typeof fs.constants>;
const { O_RDWR, O_RDONLY, O_CREAT, O_EXCL } = fs.constants;

/**
 * Returns the first folder that was made, if any. Step by step: where none can be made (in /proc), the recursive `mkdir` of
 * Node never ends.
 */
export async function makeFolder(path: string): Promise<string | undefined> {
  const isThere = async (): Promise<boolean> =>
    fs.promises.stat(path).then(
      (found) => found.isDirectory(),
      () => false,
    );
  if (await isThere()) return undefined;
  const parent = dirname(path);
  const first = parent === path ? undefined : await makeFolder(parent);
  try {
    await fs.promises.mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (!(await isThere())) throw error; // else another process has made it meanwhile
  }
  return first ?? path;
}

export const nodeFileSystem: FileSystem = {
  async makeDirectory(path, sync) {
    const first = (await makeFolder(path)) ?? path;
    if (!sync) return;
    // Each new name is in its parent, which has to be synced.
    for (let made = path; made.length >= first.length; made = dirname(made)) {
      try {
        await syncDirectory(dirname(made));
      } catch (error) {
        // We could not have made a name in a parent that we may not read: another user did.
        if (!['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
      }
    }
  },
  names: (path) => fs.promises.readdir(path),
  create: (path) => new NodeFile(fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600), path),
  open(path, mode) {
    // Looked at before as well: to open a device can have effects.
    if (!fs.lstatSync(path).isFile()) throw new Error('not a regular file');
    const descriptor = fs.openSync(path, (mode === 'read' ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK);
    try {
      const stat = fs.fstatSync(descriptor);
      if (!stat.isFile()) throw new Error('not a regular file');
      if (stat.uid !== (process.geteuid?.() ?? stat.uid)) throw new Error('a file of another user');
      return new NodeFile(descriptor, path);
    } catch (error) {
      fs.closeSync(descriptor);
      throw error;
    }
  },
  stat(path) {
    try {
      const found = fs.lstatSync(path, { throwIfNoEntry: false });
      return found === undefined ? undefined : statOf(found);
    } catch (error) {
      // A file has taken the place of the directory.
      if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
      throw error;
    }
  },
  rename: fs.renameSync,
  remove: fs.unlinkSync,
  syncDirectory,
  lock: lockDirectory,
  wallClock: Date.now,
  nonce,
};

class NodeFile implements OpenFile {
  readonly #descriptor: number;
  readonly #path: string;

  constructor(descriptor: number, path: string) {
    this.#descriptor = descriptor;
    this.#path = path;
  }

  write(bytes: Uint8Array, position: number): Awaitable<number> {
    const length = bytes.byteLength;
    if (length <= LARGEST_SYNCHRONOUS_WRITE) return fs.writeSync(this.#descriptor, bytes, 0, length, position);
    return new Promise((resolve, reject) => {
      fs.write(this.#descriptor, bytes, 0, length, position, settle(resolve, reject));
    });
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.read(this.#descriptor, into, 0, into.byteLength, position, settle(resolve, reject));
    });
  }

  sync(): Promise<void> {
    return syncInTurn(dirname(this.#path), (done) => {
      fs.fdatasync(this.#descriptor, done);
    });
  }

  truncate(length: number): void {
    fs.ftruncateSync(this.#descriptor, length);
  }

  stat(): FileStat {
    return statOf(fs.fstatSync(this.#descriptor));
  }

  close(): void {
    fs.closeSync(this.#descriptor);
  }
}

function statOf(stats: fs.Stats): FileStat {
  const { size, dev, ino, mtimeMs, blocks } = stats;
  const regular = stats.isFile();
  return { bytes: size, device: dev, inode: ino, modified: mtimeMs, allocated: blocks * 512, regular };
}

/** The descriptor is opened when it is its turn: a queue of syncs holds none. */
function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return Promise.resolve(); // a directory cannot be opened there
  const sync: Sync = (done) => {
    const descriptor = fs.openSync(path, O_RDONLY);
    fs.fsync(descriptor, (failure) => {
      let error = failure;
      // Some file systems have no such thing.
      if (['EINVAL', 'ENOTSUP'].includes(error?.code ?? '')) error = null;
      try {
        fs.closeSync(descriptor);
      } catch (problem) {
        error ??= problem as Error;
      }
      done(error);
    });
  };
  return syncInTurn(path, sync);
}

function settle(resolve: (count: number) => void, reject: (error: Error) => void) {
  return (error: Error | null, count: number): void => {
    if (error === null) resolve(count);
    else reject(error);
  };
}
