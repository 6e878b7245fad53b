// Events of a page, sent in batches; what is pending is sent when the page goes away.
import { MemoryBatcher } from 'batch-please/collectors/memory';

export interface PageEvent {
  readonly name: string;
  readonly at: number;
}

/** The part of the window that is used; this project has no types of browsers. */
const page = globalThis as unknown as { addEventListener: (type: 'pagehide' | 'pageshow', fn: () => void) => void };

/** Browsers send at most 64 KiB of requests that outlive their page. */
const LARGEST = 60_000;

export function beacon(url: string): { track: (name: string) => void } {
  const events = new MemoryBatcher<PageEvent>({
    maxBatchWeight: LARGEST,
    weigh: (event) => JSON.stringify(event).length + 1,
    maxTimeSinceFirstItem: 5000,
    maxPending: 1000,
    overflow: 'dropOldest',
    retry: { attempts: 5, minDelay: 1000 },
    giveUp: 'drop',
    async batchFlush({ items }, { id }) {
      // keepalive: the browser goes on sending it after the page was closed.
      const headers = { 'content-type': 'application/json', 'idempotency-key': id };
      const response = await fetch(url, { method: 'POST', keepalive: true, headers, body: JSON.stringify(items) });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
    },
  });
  events.on('failed', ({ error }) => console.debug('events are sent later', error));
  events.on('dropped', ({ size }) => console.debug(`${size} events are lost`));

  // Not `unload`, which mobile browsers do not fire, and which keeps the page out of the back/forward cache.
  page.addEventListener('pagehide', () => {
    // A batch that is being sent must not hold up the others now.
    events.configure({ flushConcurrency: Infinity });
    void events.flush(); // calls batchFlush before it returns; the answer is not awaited
  });
  page.addEventListener('pageshow', () => {
    events.configure({ flushConcurrency: 1 }); // it may come back from the cache
  });
  return {
    track: (name) => {
      events.addItem({ name, at: Date.now() });
    },
  };
}
