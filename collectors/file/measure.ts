import type { Clock } from '../../src/index.js';
import type { FileStat, FileSystem } from './file-system.js';
import { DEAD, QUARANTINE, RETURNED } from './format.js';

/** Milliseconds between two looks at the disk while it is full. */
const INTERVAL = 1000;

/** How often a look begins again. */
const TRIES = 5;

/** How many names are looked at in one go, between which other work is done. */
const AT_A_TIME = 500;

/**
 * How many bytes are on disk. They are counted as they are written and removed; while there is no room, the disk is
 * measured again, since another process may have made some.
 */
export class Measure {
  /** Everything, `aside` included. */
  bytes = 0;
  /** In `quarantine/`, `dead/` and `returned/`, and in files that cannot be read. */
  aside = 0;
  /** Bytes in files of the directory that hold no batch of ours. */
  readonly #unreadable = new Map<string, number>();
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #changed: () => void;
  #timer: unknown;
  #stopped = false;
  #looked = -Infinity;

  constructor(
    files: FileSystem,
    { directory, clock }: { readonly directory: string; readonly clock: Clock },
    changed: () => void,
  ) {
    this.#files = files;
    this.#directory = directory;
    this.#clock = clock;
    this.#changed = changed;
  }

  addAside(bytes: number): void {
    this.aside += bytes;
    this.bytes += bytes;
  }

  /** A file that stays as it is. */
  addUnreadable(name: string): void {
    const bytes = this.#sizeOf(name);
    this.#unreadable.set(name, bytes);
    this.addAside(bytes);
  }

  /** There is no room: looks at the disk, at most once per interval. */
  soon(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    const wait = Math.max(0, this.#looked + INTERVAL - this.#clock.now());
    this.#timer = this.#clock.setTimer(() => {
      this.#timer = undefined;
      void this.look();
    }, wait);
    (this.#timer as { unref?: () => void } | undefined)?.unref?.();
  }

  /** Counts what is aside; again if a file was moved there meanwhile. Answers whether it is counted; never rejects. */
  async look(tries = TRIES): Promise<boolean> {
    this.#looked = this.#clock.now();
    const before = this.aside;
    let aside = 0;
    for (const folder of [QUARANTINE, DEAD, RETURNED]) {
      const names = await this.#files.names(`${this.#directory}/${folder}`).catch(() => []);
      for (const [index, name] of names.entries()) {
        aside += this.#sizeOf(`${folder}/${name}`);
        if (index % AT_A_TIME === AT_A_TIME - 1) await new Promise(setImmediate);
      }
    }
    for (const name of [...this.#unreadable.keys()]) {
      const bytes = this.#sizeOf(name);
      this.#unreadable.set(name, bytes);
      aside += bytes;
    }
    if (this.#stopped) return true;
    if (this.aside !== before) return tries > 1 && (await this.look(tries - 1));
    this.bytes += aside - this.aside;
    this.aside = aside;
    this.#changed();
    return true;
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== undefined) this.#clock.clearTimer(this.#timer);
    this.#timer = undefined;
  }

  start(): void {
    this.#stopped = false;
  }

  #sizeOf(name: string): number {
    try {
      const found = this.#files.stat(`${this.#directory}/${name}`);
      return found === undefined ? 0 : onDisk(found);
    } catch {
      return 0;
    }
  }
}

/** Bytes that a file takes on disk: a large one may have holes. A small one may be stored in its entry. */
export function onDisk({ bytes, allocated }: FileStat): number {
  return bytes > SMALL ? Math.min(bytes, allocated) : bytes;
}

const SMALL = 1024 * 1024;
