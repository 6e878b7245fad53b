import { type StreamCollector, Writer, checkCollector } from './collector.js';

/**
 * A web stream that adds what is written to the collector. A write waits as `syncAddItem` does; closing the stream flushes
 * the collector and leaves it open. An item that is refused fails the stream, and so does a batch that is held and fails
 * once more. After an error or an abort the collector keeps what it has accepted.
 *
 * @throws `OptionsError`
 */
export function toWritableStream<Item>(collector: StreamCollector<Item>): WritableStream<Item> {
  checkCollector('toWritableStream', collector);
  const writer = new Writer(collector);
  let signal: AbortSignal | undefined;
  return new WritableStream<Item>({
    start: (controller) => {
      ({ signal } = controller as { signal?: AbortSignal }); // which the types of Node 20 do not know
    },
    write: async (item) => {
      try {
        await writer.write(item, signal);
      } catch (error) {
        writer.end(); // no other call reports that the stream has failed
        throw error;
      }
    },
    close: () => writer.flush(signal),
    abort: () => {
      writer.end();
    },
  });
}
