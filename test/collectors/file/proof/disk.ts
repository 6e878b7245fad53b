import type { Random } from 'batch-please/testing';

/** What was done to a file since it was last synced. */
type Change = { kind: 'write'; position: number; bytes: Uint8Array } | { kind: 'truncate'; length: number };

const SECTOR = 512;

let inodes = 0;

/** A file: what the operating system shows of it, what the disk has, and what lies between. */
export class Inode {
  /** Of the operating system. */
  current: Uint8Array = new Uint8Array(0);
  /** Of no other file. */
  readonly number = ++inodes;
  /** Counts the changes. */
  modified = 0;
  #durable: Uint8Array = new Uint8Array(0);
  #pending: Change[] = [];

  write(position: number, bytes: Uint8Array): void {
    this.#add({ kind: 'write', position, bytes: Uint8Array.from(bytes) });
  }

  truncate(length: number): void {
    this.#add({ kind: 'truncate', length });
  }

  #add(change: Change): void {
    this.modified++;
    this.current = applied(this.current, change);
    this.#pending.push(change);
  }

  /** What is on the disk whatever happens. */
  get proven(): Uint8Array {
    return this.#durable;
  }

  /** How many changes a sync that starts now has to write. */
  get dirty(): number {
    return this.#pending.length;
  }

  /** The first `count` changes are on the disk. */
  sync(count: number): void {
    for (const change of this.#pending.splice(0, count)) this.#durable = applied(this.#durable, change);
  }

  /** A sync that fails: the changes are on the disk in part, and the rest will not be written. */
  dropDirty(random: Random, evict: boolean): void {
    this.#durable = this.#torn(random);
    this.#pending = [];
    // The page cache may show for a while what the disk does not have.
    if (evict) {
      const shown = new Uint8Array(this.current.length);
      shown.set(this.#durable.subarray(0, shown.length));
      this.current = shown;
    }
  }

  powerLoss(random: Random): void {
    this.#durable = this.#torn(random);
    this.#pending = [];
    this.current = this.#durable;
  }

  /** Each sector with some of the changes, the last of them perhaps in part; some length that it had in between. */
  #torn(random: Random): Uint8Array {
    const pending = this.#pending;
    if (pending.length === 0 || random.chance(0.15)) return this.#durable;
    const lengths = [this.#durable.length];
    for (const change of pending) {
      const before = lengths.at(-1) ?? 0;
      lengths.push(
        change.kind === 'truncate' ? change.length : Math.max(before, change.position + change.bytes.length),
      );
    }
    const most = Math.max(...lengths);
    let length = lengths.at(-1) ?? 0;
    if (random.chance(0.6)) length = random.chance(0.5) ? random.pick(lengths) : random.int(most + 1);
    // What was synced is there, unless it was cut off since.
    length = Math.max(length, Math.min(...lengths));
    const shape = random.pick(['all', 'any', 'any', 'prefix']);
    const prefix = random.int(pending.length + 1);
    const result = new Uint8Array(length);
    for (let from = 0; from < length; from += SECTOR) {
      const to = Math.min(from + SECTOR, length);
      const count = shape === 'all' ? pending.length : shape === 'prefix' ? prefix : random.int(pending.length + 1);
      result.set(this.#durable.subarray(from, Math.min(to, this.#durable.length)), from);
      for (const change of pending.slice(0, count)) touch(result, from, to, change, to);
      const next = pending[count];
      if (next?.kind === 'write' && random.chance(0.5)) touch(result, from, to, next, from + random.int(SECTOR));
    }
    return result;
  }
}

function applied(bytes: Uint8Array, change: Change): Uint8Array {
  const length =
    change.kind === 'truncate' ? change.length : Math.max(bytes.length, change.position + change.bytes.length);
  const result = new Uint8Array(length);
  result.set(bytes.subarray(0, length));
  if (change.kind === 'write') result.set(change.bytes, change.position);
  return result;
}

/** What the change does to the bytes `[from, to)`, as far as `until`. */
function touch(bytes: Uint8Array, from: number, to: number, change: Change, until: number): void {
  if (change.kind === 'truncate') {
    bytes.fill(0, Math.max(from, Math.min(change.length, to)), to);
    return;
  }
  const start = Math.max(from, change.position);
  const end = Math.min(to, until, change.position + change.bytes.length);
  if (start < end) bytes.set(change.bytes.subarray(start - change.position, end - change.position), start);
}

type Directories = Map<string, Map<string, Inode>>;

/** A name that was removed, a name that is new, or both at once. */
interface NameChange {
  from?: { directory: string; name: string };
  to?: { directory: string; name: string };
  inode: Inode;
}

export function errno(code: string, call: string): Error {
  return Object.assign(new Error(`${code}: ${call}`), { code });
}

/** What several processes, one after another, leave on one machine. */
export class Disk {
  current: Directories = new Map();
  /** The process that owns a directory is alive. */
  readonly owners = new Map<string, () => boolean>();
  #durable: Directories = new Map();
  #pending: NameChange[] = [];

  makeDirectory(path: string): void {
    if (!this.current.has(path)) this.current.set(path, new Map());
  }

  syncNewDirectory(path: string): void {
    if (this.current.has(path) && !this.#durable.has(path)) this.#durable.set(path, new Map());
  }

  /** The directories in a directory. */
  below(path: string): string[] {
    return [...this.current.keys()].filter((name) => name !== path && parentOf(name) === path);
  }

  directory(path: string): Map<string, Inode> {
    const found = this.current.get(path);
    if (found === undefined) throw errno('ENOENT', path);
    return found;
  }

  names(path: string): string[] {
    return [...this.directory(path).keys(), ...this.below(path).map(nameOf)];
  }

  find(path: string): Inode {
    const inode = this.directory(parentOf(path)).get(nameOf(path));
    if (inode === undefined) throw errno('ENOENT', path);
    return inode;
  }

  create(path: string): Inode {
    const directory = this.directory(parentOf(path));
    if (directory.has(nameOf(path)) || this.current.has(path)) throw errno('EEXIST', path);
    const inode = new Inode();
    this.#rename({ to: placeOf(path), inode });
    return inode;
  }

  rename(from: string, to: string): void {
    const inode = this.find(from);
    this.directory(parentOf(to));
    if (from !== to) this.#rename({ from: placeOf(from), to: placeOf(to), inode });
  }

  remove(path: string): void {
    this.#rename({ from: placeOf(path), inode: this.find(path) });
  }

  #rename(change: NameChange): void {
    apply(this.current, change);
    this.#pending.push(change);
  }

  /** How many changes of names a sync that starts now has to write. */
  get dirty(): number {
    return this.#pending.length;
  }

  /** The first `count` changes of names in it are on the disk, and the directories that were there. */
  syncDirectory(path: string, count: number, below: readonly string[]): void {
    for (const name of below) this.syncNewDirectory(name);
    // With a change goes what happened to that file before.
    const until = new Map<Inode, number>();
    for (const [index, { from, to, inode }] of this.#pending.slice(0, count).entries()) {
      if (from?.directory === path || to?.directory === path) until.set(inode, index);
    }
    const rest: NameChange[] = [];
    const held = new Set<Inode>();
    for (const [index, change] of this.#pending.entries()) {
      // A directory that is not on the disk can take nothing there: the file keeps the name that it has on the disk.
      const target = change.to?.directory;
      if (target !== undefined && !this.#durable.has(target)) held.add(change.inode);
      if (index <= (until.get(change.inode) ?? -1) && !held.has(change.inode)) apply(this.#durable, change);
      else rest.push(change);
    }
    this.#pending = rest;
  }

  powerLoss(random: Random): void {
    const shape = random.pick(['any', 'any', 'prefix', 'none', 'all']);
    const prefix = random.int(this.#pending.length + 1);
    // What happened to one file happened in this order; files are independent of each other.
    const ended = new Set<Inode>();
    // A directory that was not synced may be there, or not.
    for (const path of this.current.keys()) {
      if (!this.#durable.has(path) && this.#durable.has(parentOf(path)) && random.chance(0.5)) {
        this.#durable.set(path, new Map());
      }
    }
    for (const [index, change] of this.#pending.entries()) {
      if (shape === 'any' && random.chance(0.4)) ended.add(change.inode);
      const kept = shape === 'any' ? !ended.has(change.inode) : shape === 'prefix' ? index < prefix : shape === 'all';
      // A directory is made before anything is moved into it.
      const target = change.to?.directory;
      if (kept && (target === undefined || this.#durable.has(target))) apply(this.#durable, change);
    }
    this.#pending = [];
    this.current = new Map([...this.#durable].map(([path, names]) => [path, new Map(names)]));
    const inodes = new Set<Inode>();
    for (const names of this.current.values()) for (const inode of names.values()) inodes.add(inode);
    for (const inode of inodes) inode.powerLoss(random);
  }

  /** Everything that was done to names is on the disk. */
  syncNames(): void {
    for (const change of this.#pending.splice(0)) apply(this.#durable, change);
  }

  /** Another program gives a file another name; it survives power loss. */
  moveAway(path: string, to: string): void {
    this.syncNames();
    this.rename(path, to);
    this.syncNames();
  }

  /** Another program renames a directory, with all that is in it. */
  renameDirectory(path: string, to: string): void {
    this.syncNames();
    for (const directories of [this.current, this.#durable]) {
      for (const [below, names] of [...directories]) {
        if (below !== path && !below.startsWith(`${path}/`)) continue;
        directories.delete(below);
        directories.set(`${to}${below.slice(path.length)}`, names);
      }
    }
  }

  /** What of the directory would be there after a power loss that takes everything it may: its files' contents. */
  durableIn(path: string): Uint8Array[] {
    return [...(this.#durable.get(path)?.values() ?? [])].map(({ proven }) => proven);
  }

  /** Another program removes a directory with all that is in it. */
  removeDirectory(path: string): void {
    for (const [below, names] of [...this.current]) {
      if (below !== path && !below.startsWith(`${path}/`)) continue;
      for (const name of [...names.keys()]) this.remove(`${below}/${name}`);
      this.current.delete(below);
      this.#durable.delete(below);
    }
    this.#pending = this.#pending.filter(
      ({ from, to }) =>
        (from === undefined || this.current.has(from.directory)) &&
        (to === undefined || this.current.has(to.directory)),
    );
  }

  /** Bytes of everything in a directory, and below it. */
  bytesIn(directory: string): number {
    let sum = 0;
    for (const [path, names] of this.current) {
      if (path !== directory && !path.startsWith(`${directory}/`)) continue;
      for (const { current } of names.values()) sum += current.length;
    }
    return sum;
  }

  /** Files directly in it whose last line has no newline. */
  unfinishedIn(directory: string): number {
    const files = [...(this.current.get(directory)?.values() ?? [])];
    return files.filter(({ current }) => current.length > 0 && current.at(-1) !== 10).length;
  }
}

function apply(directories: Directories, { from, to, inode }: NameChange): void {
  if (from !== undefined) {
    const names = directories.get(from.directory);
    if (names?.get(from.name) === inode) names.delete(from.name);
  }
  if (to !== undefined) directories.get(to.directory)?.set(to.name, inode);
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function placeOf(path: string): { directory: string; name: string } {
  return { directory: parentOf(path), name: nameOf(path) };
}
