import type { Random } from 'batch-please/testing';
import type { Disk, Inode } from './disk.js';

/** What another program does to a directory while its process lives. */
export const SABOTAGES = [
  'moveFile',
  'removeFile',
  'replaceFile',
  'shorten',
  'shorten',
  'hole',
  'hole',
  'spoilLine',
  'moveDirectory',
  'replaceDirectory',
] as const;
export type Sabotage = (typeof SABOTAGES)[number];

/** Outside of the directory, so that no process finds there what was moved away. */
export const AWAY = '/data/away';

const SECTOR = 512;

export interface Harm {
  /** Items of whose lines nothing whole is left. */
  readonly hit: readonly number[];
  /** Items whose file has lost its name, and that only an open descriptor still leads to. */
  readonly nameless: readonly number[];
}

let moved = 0;

/** `isLive` says whether the process writes to a file. Answers nothing if there was nothing to harm. */
export function sabotage(
  disk: Disk,
  directory: string,
  kind: Sabotage,
  random: Random,
  isLive: (inode: Inode) => boolean,
  note: (text: string) => void,
): Harm | undefined {
  const names = [...(disk.current.get(directory)?.keys() ?? [])].filter((name) => name.endsWith('.batch'));
  if (names.length === 0) return undefined;
  if (kind === 'moveDirectory' || kind === 'replaceDirectory') {
    const harms = names.map((name) => nameless(disk.find(`${directory}/${name}`), isLive));
    note('*** the directory is moved away');
    disk.renameDirectory(directory, `/data/moved-${++moved}`);
    if (kind === 'replaceDirectory') {
      disk.makeDirectory(directory);
      disk.syncNewDirectory(directory);
    }
    return { hit: harms.flatMap(({ hit }) => hit), nameless: harms.flatMap((harm) => harm.nameless) };
  }
  const name = random.pick(names);
  const path = `${directory}/${name}`;
  const inode = disk.find(path);
  note(`*** another program: ${kind} ${name} (${inode.current.length} bytes${isLive(inode) ? ', open' : ''})`);
  if (kind === 'moveFile' || kind === 'removeFile' || kind === 'replaceFile') {
    const harm = nameless(inode, isLive);
    disk.moveAway(path, `${AWAY}/${++moved}`);
    if (kind === 'replaceFile') disk.create(path).write(0, Buffer.from('this is no item\n'));
    return harm;
  }
  // A line that is being written can be hit as well.
  const before = linesOf(inode.current, true);
  spoil(inode, kind, random);
  const after = linesOf(inode.current, true);
  return { hit: [...before.keys()].filter((id) => after.get(id) !== before.get(id)), nameless: [] };
}

function nameless(inode: Inode, isLive: (inode: Inode) => boolean): Harm {
  const items = [...linesOf(inode.current).keys()];
  return isLive(inode) ? { hit: [], nameless: items } : { hit: items, nameless: [] };
}

function spoil(inode: Inode, kind: Sabotage, random: Random): void {
  const { length } = inode.current;
  if (length === 0) return;
  if (kind === 'shorten') inode.truncate(random.int(length));
  else if (kind === 'hole') {
    const from = Math.floor(random.int(length) / SECTOR) * SECTOR;
    inode.write(from, Buffer.alloc(Math.min(SECTOR, length - from)));
  } else inode.write(random.int(length), Buffer.alloc(1));
}

/** The lines, with their newlines, by the number of their item: the whole ones, or also a last one that lacks its newline. */
function linesOf(content: Uint8Array, unfinished = false): Map<number, string> {
  const lines = new Map<number, string>();
  for (const [line] of Buffer.from(content)
    .toString('latin1')
    .matchAll(unfinished ? /[^\n]*\n|[^\n]+$/g : /[^\n]*\n/g)) {
    // What was written behind a hole has zeros before it.
    const behind = line.slice(line.lastIndexOf('\0') + 1);
    const found = /^\{"id":(\d+),/.exec(behind);
    if (found !== null) lines.set(Number(found[1]), behind);
  }
  return lines;
}

/** Whose lines are in these contents. */
export function itemsIn(contents: readonly Uint8Array[]): Set<number> {
  const found = new Set<number>();
  for (const content of contents) {
    for (const id of linesOf(content).keys()) found.add(id);
  }
  return found;
}
