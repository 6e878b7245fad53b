import { Writable } from 'node:stream';
import { type StreamCollector, Writer, checkCollector } from './collector.js';

/**
 * A Node stream in object mode that adds what is written to the collector. A write waits as `syncAddItem` does; the end of
 * the stream flushes the collector and leaves it open. An item that is refused fails the stream, and so does a batch that
 * is held and fails once more. After an error the collector keeps what it has accepted.
 *
 * @throws `OptionsError`
 */
export function toWritable<Item>(collector: StreamCollector<Item>): Writable {
  checkCollector('toWritable', collector);
  const writer = new Writer(collector);
  const left = new AbortController();
  const { signal } = left;
  const settle = (work: Promise<void>, callback: (error?: Error | null) => void): void => {
    work.then(() => {
      callback();
    }, callback);
  };
  return new Writable({
    objectMode: true,
    write: (item: Item, _encoding, callback) => {
      settle(writer.write(item, signal), callback);
    },
    final: (callback) => {
      settle(writer.flush(signal), callback);
    },
    destroy: (error, callback) => {
      writer.end();
      left.abort(error ?? undefined); // an item that waits for room stays out
      callback(error);
    },
  });
}
