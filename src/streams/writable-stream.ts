import { type StreamCollector, checkCollector } from './collector.js';

/**
 * A web stream that adds what is written to the collector. A write waits as `syncAddItem` does; closing the stream flushes
 * the collector and leaves it open. An item that is refused fails the stream. After an error or an abort the collector
 * keeps what it has accepted.
 *
 * @throws `OptionsError`
 */
export function toWritableStream<Item>(collector: StreamCollector<Item>): WritableStream<Item> {
  checkCollector('toWritableStream', collector);
  let signal: AbortSignal | undefined;
  return new WritableStream<Item>({
    start: (controller) => {
      ({ signal } = controller as { signal?: AbortSignal }); // which the types of Node 20 do not know
    },
    write: (item) => collector.syncAddItem(item, { ...(signal && { signal }) }),
    close: () => collector.flush({ ...(signal && { signal }) }),
  });
}
