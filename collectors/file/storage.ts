import { OverflowError, type Prepared, type Storage } from '../../src/index.js';
import type { FileBatch } from './contract.js';
import { type Delivery, fileOf } from './delivery.js';
import { OVERHEAD } from './format.js';
import { Line } from './line.js';
import { toJson } from './options.js';
import type { Spool } from './spool.js';
import { checkText } from './text.js';

type FileStorage<Item> = Storage<Item, FileBatch<Item>>;

/** The storage of the base class on files: keeps items, says whether there is room, and when a batch is given up. */
export function storageOf<Item>(
  spool: Spool<Item>,
  delivery: Delivery<Item>,
  { begin, end }: Pick<FileStorage<Item>, 'begin' | 'end'>,
): FileStorage<Item> {
  const { encode, integrity, maxBytes, maxAttempts } = spool.config;
  const isJson = encode === toJson;
  return {
    begin,
    prepare: (item) => {
      const text = encode(item);
      checkText(text, integrity, isJson);
      const bytes = maxBytes === Infinity ? 0 : Buffer.byteLength(text) + OVERHEAD[integrity];
      if (bytes > maxBytes) throw new OverflowError(`larger than ${maxBytes} bytes`, bytes, maxBytes);
      return new Line(item, text, bytes);
    },
    hasRoom: (entry) => maxBytes === Infinity || spool.hasRoom(lineIn(entry).bytes),
    overflow: () => spool.overflow(),
    accepted: (entry) => {
      spool.reserved += lineIn(entry).bytes;
    },
    refused: (entry) => {
      const line = lineIn(entry);
      line.refused = true;
      line.takeBack?.();
      spool.reserved -= line.bytes;
    },
    attempted: (batch) => fileOf(batch).attempting,
    givesUp: (batch) => fileOf(batch).remains.isEmpty || fileOf(batch).attempts >= maxAttempts,
    discard: (batch) => delivery.discard(batch),
    end,
  };
}

/** Every entry was made by `prepare`. */
function lineIn<Item>(entry: Prepared<Item>): Line<Item> {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- see above
  return entry as Line<Item>;
}
