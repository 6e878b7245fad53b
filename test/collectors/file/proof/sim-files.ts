import { LockedError } from 'batch-please';
import type { TestClock, Random } from 'batch-please/testing';
import type { FileStat, FileSystem, OpenFile } from '../../../../collectors/file/file-system.js';
import type { Lock } from '../../../../collectors/file/lock.js';
import { type Disk, errno, type Inode, nameOf, parentOf } from './disk.js';

export type Call =
  | 'makeDirectory'
  | 'names'
  | 'create'
  | 'open'
  | 'rename'
  | 'remove'
  | 'syncDirectory'
  | 'lock'
  | 'write'
  | 'read'
  | 'sync'
  | 'truncate'
  | 'stat'
  | 'close';

/** What each call may fail with. */
export const CODES: Readonly<Record<Call, readonly string[]>> = {
  makeDirectory: ['EACCES', 'ENOSPC', 'EMFILE', 'EIO'],
  names: ['EIO', 'EMFILE'],
  create: ['ENOSPC', 'EMFILE', 'EACCES', 'EROFS', 'EIO'],
  open: ['EMFILE', 'EACCES', 'EIO'],
  rename: ['EACCES', 'EROFS', 'EIO', 'ENOSPC'],
  remove: ['EACCES', 'EROFS', 'EIO'],
  syncDirectory: ['EIO', 'EMFILE'],
  lock: ['EMFILE', 'EACCES'],
  write: ['EIO', 'ENOSPC', 'EROFS'],
  read: ['EIO'],
  sync: ['EIO', 'ENOSPC'],
  truncate: ['EIO', 'EROFS'],
  stat: ['EIO'],
  close: ['EIO'],
};

/** Calls fail while the operation's number is in `[from, to)`. */
export interface Trouble {
  from: number;
  to: number;
  calls: readonly Call[];
  chance: number;
  /** Whatever the call allows, if undefined. */
  code: string | undefined;
}

export interface Manners {
  /** The operation at which the process ends; 0 for never. */
  crashAt: number;
  trouble: readonly Trouble[];
  /** How often a write takes less than it was given, without any error. */
  shortWrites: number;
  /** How often a write answers by a promise. */
  slowWrites: number;
  /** How often a call that may take its time does so. */
  slow: number;
  /** What a failed sync does to what the operating system shows. */
  evict: boolean;
  /** How many descriptors the process may have; with more, whatever opens a file fails. */
  descriptors: number;
  /** Calls that do not answer. */
  hang: Hang | undefined;
  /** From this operation on each sync may be answered with success though nothing was done. */
  lies: { readonly from: number; readonly chance: number } | undefined;
}

export interface Hang {
  readonly from: number;
  readonly to: number;
  readonly calls: readonly Call[];
  /** Milliseconds until they answer after all; `Infinity` for never. */
  readonly ms: number;
}

/** A file system without any faults. */
export const CALM: Manners = {
  crashAt: 0,
  trouble: [],
  shortWrites: 0,
  slowWrites: 0,
  slow: 0,
  evict: false,
  descriptors: Infinity,
  hang: undefined,
  lies: undefined,
};

/** Longest time that one call takes, in milliseconds of the test clock. */
export const SLOWEST = 20;

class Crash extends Error {}

/** The disk as one process sees it, until that ends. */
export class SimFiles implements FileSystem {
  dead = false;
  /** By the test clock. */
  diedAt = Infinity;
  ops = 0;
  /** Descriptors. */
  inUse = 0;
  /** Reads that the disk has not answered: each needs its descriptor until then. */
  reading = 0;
  /** A sync has failed; what was dirty may be shown no more. */
  onFailedSync: ((evicted: boolean) => void) | undefined;
  onFailedDirectorySync: ((path: string, inARow: number) => void) | undefined;
  /** By directory: syncs that have failed in a row. */
  readonly #unsynced = new Map<string, number>();
  /** A sync is about to be answered falsely for the first time. */
  onFirstLie: (() => void) | undefined;
  /** A copy takes the name of a file. */
  onCopy: (() => void) | undefined;
  /** The most descriptors at one time. */
  mostInUse = 0;
  /** Files that this process writes to, by number. */
  readonly writing = new Map<number, number>();
  /** Files that this process has made, by number. */
  readonly created = new Set<number>();
  hung = 0;
  lied = 0;
  /** How often each call was made to fail. */
  readonly failures = new Map<Call, number>();
  wall: number;
  readonly #disk: Disk;
  readonly #manners: Manners;
  readonly #random: Random;
  readonly #clock: TestClock;
  readonly #note: ((text: string) => void) | undefined;
  #full = false;

  constructor(
    disk: Disk,
    manners: Manners,
    random: Random,
    clock: TestClock,
    wall: number,
    note: ((text: string) => void) | undefined,
  ) {
    this.#disk = disk;
    this.#manners = manners;
    this.#random = random;
    this.#clock = clock;
    this.#note = note;
    this.wall = wall;
  }

  /** The process ends here. */
  die(): void {
    if (this.dead) return;
    this.#note?.('*** the process ends');
    this.dead = true;
    this.diedAt = this.#clock.now();
  }

  /** How often one of these calls was made to fail; any call, if none is named. */
  failed(...calls: Call[]): number {
    let sum = 0;
    for (const call of calls.length === 0 ? this.failures.keys() : calls) sum += this.failures.get(call) ?? 0;
    return sum;
  }

  failedOnly(call: Call): boolean {
    return [...this.failures.keys()].every((failed) => failed === call);
  }

  get trouble(): boolean {
    return this.failures.size > 0;
  }

  // What happens to every call

  /** `partly` is what a process that ends in the middle leaves behind. */
  #now<T>(call: Call, what: string, work: () => T, partly?: () => void): T {
    if (this.dead) throw new Crash();
    this.ops++;
    if (this.ops === this.#manners.crashAt) {
      const how = this.#random.pick(['before', 'after', 'partly']);
      this.#note?.(`#${this.ops} ${call} ${what} (${how})`);
      try {
        if (how === 'after') work();
        else if (how === 'partly') partly?.();
      } catch {
        // It makes no difference any more.
      }
      this.die();
      throw new Crash();
    }
    const code = this.#codeFor(call) ?? this.#lackOf(call);
    if (code !== undefined) {
      this.failures.set(call, (this.failures.get(call) ?? 0) + 1);
      this.#note?.(`#${this.ops} ${call} ${what} fails: ${code}`);
      throw errno(code, call);
    }
    const result = work();
    this.#note?.(`#${this.ops} ${call} ${what}`);
    return result;
  }

  /** `begin` happens at once; what it returns happens at the end, if there is one. */
  async #later<T>(call: Call, what: string, begin: () => () => T, failing?: () => void): Promise<T> {
    let end: () => T;
    let fault: unknown;
    try {
      end = this.#now(call, what, begin);
    } catch (error) {
      if (error instanceof Crash) return await new Promise<never>(() => undefined);
      fault = error;
      end = () => {
        failing?.();
        throw fault;
      };
    }
    await this.#delay();
    await this.#hang(call, what);
    if (this.dead) return await new Promise<never>(() => undefined);
    if (fault === undefined) {
      // The process may end when the disk has done it and before it knows.
      this.ops++;
      if (this.ops === this.#manners.crashAt) {
        this.#note?.(`#${this.ops} ${call} ${what} ends`);
        if (this.#random.chance(0.5)) end();
        this.die();
        return await new Promise<never>(() => undefined);
      }
    }
    return end();
  }

  #delay(): Promise<void> | undefined {
    if (!this.#random.chance(this.#manners.slow)) return undefined;
    return new Promise((resolve) => {
      this.#clock.setTimer(resolve, 1 + this.#random.int(SLOWEST));
    });
  }

  #hang(call: Call, what: string): Promise<void> | undefined {
    const { hang } = this.#manners;
    if (hang === undefined || this.ops < hang.from || this.ops >= hang.to || !hang.calls.includes(call))
      return undefined;
    this.hung++;
    this.failures.set(call, (this.failures.get(call) ?? 0) + 1);
    this.#note?.(`#${this.ops} ${call} ${what} hangs`);
    return new Promise((resolve) => {
      if (hang.ms < Infinity) this.#clock.setTimer(resolve, hang.ms);
    });
  }

  /** Whether the disk only says that it has synced something. */
  #lies(what: string): boolean {
    const { lies } = this.#manners;
    if (lies === undefined || this.ops < lies.from || !this.#random.chance(lies.chance)) return false;
    if (this.lied === 0) this.onFirstLie?.();
    this.lied++;
    this.#note?.(`  that ${what} is a lie`);
    return true;
  }

  /** Whatever opens something needs a descriptor. */
  #lackOf(call: Call): string | undefined {
    const opens = call === 'create' || call === 'open' || call === 'syncDirectory' || call === 'names';
    return opens && this.inUse >= this.#manners.descriptors ? 'EMFILE' : undefined;
  }

  #codeFor(call: Call): string | undefined {
    for (const { from, to, calls, chance, code } of this.#manners.trouble) {
      if (this.ops < from || this.ops >= to || !calls.includes(call) || !this.#random.chance(chance)) continue;
      const found = code ?? this.#random.pick(CODES[call]);
      if (CODES[call].includes(found)) return found;
    }
    return undefined;
  }

  // The seam

  makeDirectory(path: string, sync: boolean): Promise<void> {
    const begin = (): (() => void) => {
      this.#disk.makeDirectory(path);
      const { dirty } = this.#disk;
      const below = this.#disk.below(parentOf(path));
      return () => {
        if (sync && !this.#lies('sync')) this.#disk.syncDirectory(parentOf(path), dirty, below);
      };
    };
    // It may be made, and not be synced.
    const failing = (): void => {
      if (this.#random.chance(0.5)) this.#disk.makeDirectory(path);
    };
    return this.#later('makeDirectory', path, begin, failing);
  }

  names(path: string): Promise<string[]> {
    return this.#later('names', path, () => () => this.#disk.names(path));
  }

  create(path: string): OpenFile {
    return this.#now('create', path, () => {
      const inode = this.#disk.create(path);
      this.created.add(inode.number);
      return this.#fileOf(inode, path, true);
    });
  }

  open(path: string, mode: 'read' | 'write'): OpenFile {
    return this.#now('open', `${path} to ${mode}`, () => this.#fileOf(this.#disk.find(path), path, mode === 'write'));
  }

  stat(path: string): FileStat | undefined {
    return this.#now('stat', path, () => {
      const found = this.#disk.current.get(parentOf(path))?.get(nameOf(path));
      return found === undefined ? undefined : statOf(found);
    });
  }

  rename(from: string, to: string): void {
    this.#now('rename', `${from} → ${to}`, () => {
      this.#disk.rename(from, to);
    });
    if (from.endsWith('.tmp')) this.onCopy?.();
  }

  remove(path: string): void {
    this.#now('remove', path, () => {
      this.#disk.remove(path);
    });
  }

  syncDirectory(path: string): Promise<void> {
    const begin = (): (() => void) => {
      this.#disk.directory(path);
      const { dirty } = this.#disk;
      const below = this.#disk.below(path);
      return () => {
        this.#unsynced.delete(path);
        if (!this.#lies('sync')) this.#disk.syncDirectory(path, dirty, below);
      };
    };
    const failing = (): void => {
      const inARow = (this.#unsynced.get(path) ?? 0) + 1;
      this.#unsynced.set(path, inARow);
      this.onFailedDirectorySync?.(path, inARow);
    };
    return this.#later('syncDirectory', path, begin, failing);
  }

  async lock(directory: string): Promise<Lock> {
    const { owners } = this.#disk;
    let released = false;
    const alive = (): boolean => !released && !this.dead;
    const folder = await this.#later('lock', directory, () => () => {
      const found = this.#disk.directory(directory);
      if (owners.get(directory)?.() === true) throw new LockedError(`a live process owns ${directory}`);
      owners.set(directory, alive);
      return found;
    });
    return {
      held: () => !released && this.#disk.current.get(directory) === folder,
      release: async () => {
        if (!this.dead) released = true;
      },
    };
  }

  wallClock(): number {
    this.wall += this.#random.int(3);
    return this.wall;
  }

  nonce(): string {
    let digits = '';
    for (let part = 0; part < 2; part++) {
      digits += Math.floor(this.#random.next() * 0x100000000)
        .toString(16)
        .padStart(8, '0');
    }
    return digits;
  }

  #fileOf(inode: Inode, path: string, writable: boolean): OpenFile {
    const random = this.#random;
    const name = path.replace(/^.*\/(?=[^/]*$)/, '');
    let closed = false;
    const usable = (call: Call): void => {
      if (closed) throw errno('EBADF', call);
    };
    this.inUse++;
    this.mostInUse = Math.max(this.mostInUse, this.inUse);
    const count = (by: number): void => {
      if (writable) this.writing.set(inode.number, (this.writing.get(inode.number) ?? 0) + by);
    };
    count(1);
    const write = (bytes: Uint8Array, position: number): number => {
      usable('write');
      if (!writable) throw errno('EBADF', 'write');
      let count = bytes.length;
      if (count > 1 && random.chance(this.#manners.shortWrites)) count = 1 + random.int(count - 1);
      const what = `${count} of ${bytes.length} at ${position} ${name}`;
      const part = (): void => {
        inode.write(position, bytes.subarray(0, random.int(bytes.length + 1)));
      };
      try {
        this.#now(
          'write',
          what,
          () => {
            inode.write(position, bytes.subarray(0, count));
            this.#full = false;
          },
          part,
        );
      } catch (error) {
        // A full disk announces itself by a short write; what a failed write has written is not reported.
        if ((error as { code?: string }).code === 'ENOSPC' && !this.#full && bytes.length > 1) {
          this.#full = true;
          const some = 1 + random.int(bytes.length - 1);
          inode.write(position, bytes.subarray(0, some));
          this.#note?.(`  it is a short write of ${some}`);
          return some;
        }
        if ((error as { code?: string }).code === 'EIO') part();
        throw error;
      }
      return count;
    };
    return {
      write: (bytes, position) => {
        if (!random.chance(this.#manners.slowWrites)) return write(bytes, position);
        return this.#later<number>('stat', 'a slow write begins', () => () => 0).then(() => {
          try {
            return write(bytes, position);
          } catch (error) {
            if (error instanceof Crash) return new Promise<never>(() => undefined);
            throw error;
          }
        });
      },
      read: (into, position) => {
        usable('read');
        this.reading++;
        const done = this.#later('read', `at ${position} ${name}`, () => () => {
          const bytes = inode.current.subarray(position, position + into.length);
          // Less than asked for is no end.
          const count = bytes.length > 1 && random.chance(0.1) ? 1 + random.int(bytes.length) : bytes.length;
          into.set(bytes.subarray(0, count));
          return count;
        });
        const ended = (): void => {
          this.reading--;
        };
        done.then(ended, ended);
        return done;
      },
      sync: () => {
        usable('sync');
        return this.#later(
          'sync',
          name,
          () => {
            const { dirty } = inode;
            return () => {
              if (!this.#lies('sync')) inode.sync(Math.min(dirty, inode.dirty));
            };
          },
          () => {
            const evict = this.#manners.evict && inode.dirty > 0;
            if (inode.dirty > 0) this.onFailedSync?.(evict);
            inode.dropDirty(random, evict);
            if (evict) this.#note?.('  what was dirty is gone');
          },
        );
      },
      truncate: (length) => {
        usable('truncate');
        if (!writable) throw errno('EBADF', 'truncate');
        this.#now('truncate', `${length} ${name}`, () => {
          inode.truncate(length);
        });
      },
      stat: () => {
        usable('stat');
        return this.#now('stat', name, () => statOf(inode));
      },
      close: () => {
        usable('close');
        closed = true;
        this.inUse--;
        count(-1);
        this.#now('close', name, () => undefined);
      },
    };
  }
}

function statOf({ current, number, modified }: Inode): FileStat {
  return { bytes: current.length, device: 1, inode: number, modified, allocated: current.length, regular: true };
}
