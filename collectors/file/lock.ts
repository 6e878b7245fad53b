import * as fs from 'node:fs';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LockedError, StorageError } from '../../src/index.js';

export interface Lock {
  /** Whether the directory's name still leads to our directory. */
  held(): boolean;
  release(): Promise<void>;
  /** For the first call: the names in the directory, if they were read anyway when it was taken. */
  names?(): readonly string[] | undefined;
}

const LOCK = /^lock\.(\d{12})$/;
/** Beyond this a generation would not fit its name. */
const LAST_GENERATION = 999_999_999_999;
/** An address has room for 104 bytes on macOS and 108 on Linux, one of them a zero; what is longer is cut off silently. */
const LONGEST_ADDRESS = 103;
/** A contender loses a race at most once to each of the others. */
const ATTEMPTS = 1000;

/**
 * One live owner per directory, for processes of one host.
 *
 * The owner listens on a Unix socket, which `link()` makes the next generation's name; a process that finds a generation
 * decides by connecting whether its owner lives. So a dead owner never blocks, whatever killed it, and a live one
 * is never evicted, however long its event loop is busy: the kernel accepts for it. Pid files are wrong across
 * containers, heartbeats when a machine sleeps. The highest generation's name is never removed, or two contenders that
 * saw different ones could both win.
 */
export async function lockDirectory(directory: string): Promise<Lock> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const newest = generations(directory)[0];
    if (newest !== undefined) {
      const lives = await isAlive(directory, nameOf(newest));
      if (lives === undefined) continue; // removed meanwhile: look again
      if (lives) throw lockedError(directory);
    }
    const lock = await take(directory, (newest ?? 0) + 1);
    if (lock !== undefined) return lock;
  }
  throw lockedError(directory);
}

/** Whether a live process owns the directory; reads only. */
export async function isLocked(directory: string): Promise<boolean> {
  const newest = generations(directory)[0];
  return newest !== undefined && (await isAlive(directory, nameOf(newest))) === true;
}

function lockedError(directory: string): LockedError {
  return new LockedError(`a live process owns ${directory}`);
}

function nameOf(generation: number): string {
  return `lock.${String(generation).padStart(12, '0')}`;
}

/** 16 hexadecimal digits. The global `crypto` and `net` are loaded at first use: they are a tenth of the import's time. */
export function nonce(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex');
}

/** Highest first; an entry that is not a socket is no lock. */
function generations(directory: string, names: readonly string[] = fs.readdirSync(directory)): number[] {
  return names
    .filter((name) => LOCK.test(name) && fs.lstatSync(join(directory, name), { throwIfNoEntry: false })?.isSocket())
    .map((name) => Number(name.slice('lock.'.length)))
    .sort((a, b) => b - a);
}

/** `undefined` if another process was quicker. */
async function take(directory: string, generation: number): Promise<Lock | undefined> {
  const fresh = `lock.${nonce()}.new`;
  const server = await listen(directory, fresh);
  let taken: number | undefined;
  try {
    taken = linkNext(join(directory, fresh), directory, generation);
  } catch (error) {
    server.close();
    throw error;
  } finally {
    fs.rmSync(join(directory, fresh), { force: true });
  }
  // Once for all that follows: with many files waiting in the directory, it is the most of the time until the first add.
  let names: readonly string[] | undefined = fs.readdirSync(directory);
  const [newest, ...older] = generations(directory, names);
  if (taken === undefined || newest !== taken) {
    // Ours was free only because newer owners had come and cleared it away.
    if (taken !== undefined) fs.rmSync(join(directory, nameOf(taken)), { force: true });
    server.close();
    return undefined;
  }
  const path = join(directory, nameOf(taken));
  const { ino, dev } = fs.lstatSync(path);
  for (const one of older) fs.rmSync(join(directory, nameOf(one)), { force: true });
  sweep(directory, names);
  return {
    held: () => {
      const found = fs.lstatSync(path, { throwIfNoEntry: false });
      return found !== undefined && found.ino === ino && found.dev === dev;
    },
    release: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
      }),
    names: () => {
      const found = names;
      names = undefined; // there may be many
      return found;
    },
  };
}

/** Names that are taken by what is no socket are skipped. */
function linkNext(from: string, directory: string, generation: number): number | undefined {
  for (let next = generation; next <= LAST_GENERATION; next++) {
    const path = join(directory, nameOf(next));
    try {
      fs.linkSync(from, path);
      return next;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (fs.lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== false) return undefined;
    }
  }
  throw new StorageError(`the names of locks are used up in ${directory}`);
}

/** Sockets of contenders that died before they had linked them; no process connects to those. */
function sweep(directory: string, names: readonly string[]): void {
  for (const name of names) {
    if (!/^lock\.[0-9a-f]{16}\.new$/.test(name)) continue;
    const found = fs.lstatSync(join(directory, name), { throwIfNoEntry: false });
    // A younger one may be about to be linked.
    if (found?.isSocket() === true && Date.now() - found.ctimeMs > 60_000) {
      fs.rmSync(join(directory, name), { force: true });
    }
  }
}

async function listen(directory: string, name: string): Promise<Server> {
  const net = await import('node:net');
  const server = net.createServer((connection) => {
    connection.on('error', () => undefined); // it only wanted to know
    connection.destroy();
  });
  await withAddress(directory, name, (address) => {
    return new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      // A worker of node:cluster would let its primary listen, and lose the lock when it disconnects.
      server.listen({ path: address, exclusive: true }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  });
  server.on('error', () => undefined); // a failed accept changes nothing: the address is what counts
  server.unref();
  return server;
}

/** `undefined` if it does not exist. */
async function isAlive(directory: string, name: string): Promise<boolean | undefined> {
  const net = await import('node:net');
  return await withAddress(directory, name, (address) => {
    return new Promise((resolve, reject) => {
      const connection = net.connect(address);
      connection.once('connect', () => {
        connection.destroy();
        resolve(true);
      });
      connection.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'EACCES' || error.code === 'EPERM') {
          reject(new StorageError(`the lock in ${directory} belongs to another user (${error.code})`, error));
          return;
        }
        // Anything else, a full backlog for example, is no proof of death.
        resolve(error.code === 'ENOENT' ? undefined : error.code !== 'ECONNREFUSED');
      });
    });
  });
}

/** An address that is short enough: by way of a descriptor, or of a link elsewhere, if need be. */
async function withAddress<T>(directory: string, name: string, use: (address: string) => Promise<T>): Promise<T> {
  const address = join(directory, name);
  if (Buffer.byteLength(address) <= LONGEST_ADDRESS) return await use(address);
  const descriptors = '/proc/self/fd';
  if (fs.existsSync(descriptors)) {
    const descriptor = fs.openSync(directory, fs.constants.O_RDONLY);
    try {
      return await use(join(descriptors, String(descriptor), name));
    } finally {
      fs.closeSync(descriptor);
    }
  }
  const folder = fs.mkdtempSync(join(tmpdir(), 'bp-'));
  const link = join(folder, 'd');
  try {
    fs.symlinkSync(fs.realpathSync(directory), link);
    const short = join(link, name);
    if (Buffer.byteLength(short) > LONGEST_ADDRESS) throw new StorageError(`no short address for ${directory}`);
    return await use(short);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
