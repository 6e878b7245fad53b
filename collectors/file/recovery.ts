import type { RecoveryReport } from './contract.js';
import { type Examined, examine } from './examine.js';
import {
  type BatchName,
  batchId,
  byAge,
  fileName,
  isBareName,
  isOurName,
  isTemporary,
  parseName,
  partOf,
} from './format.js';
import { onDisk } from './measure.js';
import { type Spool, isSame } from './spool.js';
import { asError, discard, freeName } from './writing.js';

/** A file that was found by `open`. */
export interface Found extends Omit<Examined, 'bad' | 'torn' | 'quarantined'> {
  readonly name: string;
  /** The highest number of its parts that have files. */
  readonly parts: number;
}

/** More names than this are left to the next open: they have to be sorted in memory. */
const MOST_FILES = 1_000_000;

/** So many files are read at the same time; they are delivered in their order. */
const AHEAD = 8;

/** The names that were found, before anything is read. */
export interface Names {
  readonly batches: readonly string[];
  readonly foreign: readonly string[];
  /** Bytes that were counted. */
  readonly sizes: ReadonlyMap<string, number>;
  /** The highest number of a part, by the name of the whole up to its attempts. */
  readonly parts: ReadonlyMap<string, number>;
}

/** Looks at the names only: that is enough to begin new files after them. They are read unless they are `listed`. */
export async function findNames<Item>(spool: Spool<Item>, listed?: readonly string[]): Promise<Names> {
  const names = listed ?? (await spool.files.names(spool.path('')));
  const ours: string[] = [];
  const bare: string[] = [];
  const foreign: string[] = [];
  for (const name of names) {
    if (isTemporary(name)) discard(spool.files, undefined, spool.path(name));
    else if (!name.endsWith('.batch')) continue;
    else if (isOurName(name)) ours.push(name);
    else (isBareName(name) ? bare : foreign).push(name);
  }
  // The numbers in names of ours have a fixed width.
  const batches = [...bare.sort(byAge), ...ours.sort()];
  const last = parseName(batches.at(-1) ?? '');
  if (last !== undefined) spool.seen(last);
  const parts = new Map<string, number>();
  for (const name of ours) {
    const part = partOf(name);
    if (part !== undefined) parts.set(part.whole, Math.max(parts.get(part.whole) ?? 0, part.number));
  }
  return { batches, foreign, sizes: countFound(spool, batches), parts };
}

/** Counts what is on the disk before it is read, where that decides whether there is room. */
function countFound<Item>(spool: Spool<Item>, names: readonly string[]): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  if (spool.config.maxBytes === Infinity) return sizes;
  for (const name of names) {
    try {
      const stat = spool.files.stat(spool.path(name));
      if (stat !== undefined) sizes.set(name, onDisk(stat));
    } catch {
      // It is counted when it is read.
    }
  }
  for (const bytes of sizes.values()) spool.bytes += bytes;
  return sizes;
}

/**
 * Reads the files that earlier processes have left, oldest first. A crash may cut short any step, and the next open
 * repeats it.
 *
 * Nothing here fails because of what is in the directory. A file that cannot be read stays. `adopt` answers whether the file
 * is delivered now.
 */
export async function recover<Item>(
  spool: Spool<Item>,
  { batches, foreign, sizes, parts }: Names,
  adopt: (found: Found) => Promise<boolean>,
  stopped: () => boolean,
): Promise<RecoveryReport> {
  const report = { files: 0, items: 0, tornLines: 0, badLines: 0, quarantinedFiles: 0, unreadableFiles: 0 };
  const unreadable = (name: string, error: unknown): void => {
    report.unreadableFiles++;
    spool.measure.addUnreadable(name);
    const filename = spool.path(name);
    spool.report('unreadable', { filename, error }, `a file cannot be recovered, and stays: ${filename}`);
  };
  for (const name of foreign) unreadable(name, new Error('a name or a format that is not known'));
  const scan: Scan = { sizes, parts, ids: new Set(), report };
  const ahead: Promise<Found | Error | undefined>[] = [];
  let last: (typeof ahead)[number] | undefined;
  let next = 0;
  for (const [index, name] of batches.entries()) {
    if (stopped()) break;
    for (; next < batches.length && next < index + AHEAD; next++) {
      last =
        next < MOST_FILES
          ? find(spool, batches[next] ?? '', next, scan, last)
          : Promise.resolve(new Error('too many files'));
      ahead.push(last);
    }
    const found = await ahead.shift();
    if (found instanceof Error) unreadable(name, found);
    else if (found !== undefined) {
      const delivered = await adopt(found).catch((error: unknown) => {
        spool.bytes -= onDisk(found.stat); // they are counted with those that stay
        unreadable(found.name, error);
        return false;
      });
      if (delivered) continue;
      report.files--;
      report.items -= found.size;
    }
  }
  await Promise.all(ahead);
  return report;
}

/** The state that the files of one scan share. */
interface Scan {
  readonly sizes: Names['sizes'];
  readonly parts: Names['parts'];
  readonly ids: Set<string>;
  readonly report: { -readonly [Key in keyof RecoveryReport]: RecoveryReport[Key] };
}

/** Never rejects. `index` is the place in the order of delivery; `earlier` finds the file before it. */
async function find<Item>(
  spool: Spool<Item>,
  name: string,
  index: number,
  { sizes, parts, ids, report }: Scan,
  earlier: Promise<unknown> | undefined,
): Promise<Found | Error | undefined> {
  let counted = sizes.get(name) ?? 0;
  const uncount = (): void => {
    spool.bytes -= counted;
    counted = 0;
  };
  const parsed = parseName(name);
  try {
    const examined = await examine(spool, name);
    await earlier; // of two files with one id the first keeps it, not the one that is read sooner
    const { size, bad, torn, unsafe } = examined;
    if (bad + torn > 0) {
      report.quarantinedFiles += unsafe ? 0 : 1;
      report.tornLines += torn;
      report.badLines += bad;
    }
    uncount();
    if (size === 0) {
      if (unsafe) throw new Error('it has no whole line, and cannot be moved to quarantine');
      spool.remove(name);
      return undefined;
    }
    // An empty file takes no id: power loss may leave one under the name that another had before.
    const unique = parsed !== undefined && !ids.has(batchId(parsed));
    if (unique) ids.add(batchId(parsed));
    const ours = parsed ?? { sequence: index, attempts: 0, integrity: 'none' as const };
    const ownName = unique ? name : rename(spool, name, ours, examined);
    // Delivered under the other's id, it would be taken for that by a sink that delivers each id once.
    if (ownName === undefined) throw new Error('another file has its id');
    report.files++;
    report.items += size;
    spool.bytes += onDisk(examined.stat);
    const highest = parts.get(name.slice(0, name.indexOf('-', 16))) ?? 0;
    return { ...examined, parts: highest, name: ownName };
  } catch (error) {
    uncount();
    return asError(error);
  }
}

/**
 * A bare file is given a name of ours, before all others, and the second file of one id another id: no two files have the
 * same, and each has a place for its attempts. `undefined` if the second one could not be renamed.
 */
function rename<Item>(
  spool: Spool<Item>,
  name: string,
  ours: Omit<BatchName, 'nonce'>,
  { stat }: Examined,
): string | undefined {
  const { files } = spool;
  try {
    const found = files.stat(spool.path(name));
    if (found === undefined || !isSame(found, stat)) return name;
    const free = freeName(files, spool.path(''), fileName({ ...ours, nonce: files.nonce() }));
    files.rename(spool.path(name), spool.path(free));
    return free;
  } catch {
    return isBareName(name) ? name : undefined;
  }
}
