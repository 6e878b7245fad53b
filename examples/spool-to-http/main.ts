import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { flushOnExit } from 'batch-please/collectors';
import { Shipper, type Event } from './shipper.js';

/**
 * Ships events from stdin, one JSON object per line, to an HTTP endpoint:
 *
 *   tsx examples/spool-to-http/main.ts --directory ./spool --url http://localhost:8080/events < events.ndjson
 *
 * An event counts as taken once its `stored` line is printed. From then on it arrives, whatever happens to this program.
 * A line that is no event is reported and left out: what comes after it must not wait until it is mended.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { directory: { type: 'string' }, url: { type: 'string' } } });
  const { directory, url } = values;
  if (directory === undefined || url === undefined) {
    throw new Error('--directory and --url are needed: where events are kept, and where they are sent');
  }
  const shipper = new Shipper({ directory, url });
  shipper.on('failed', ({ attempt, error }) => {
    console.error(`attempt ${attempt} failed: ${error instanceof Error ? error.message : String(error)}`);
  });
  flushOnExit(shipper);
  try {
    const { files, items } = await shipper.open();
    console.error(`${items} events in ${files} files were left from before`);
    let line = 0;
    for await (const text of createInterface({ input: process.stdin })) {
      line += 1;
      const event = eventIn(text);
      if (event === undefined) {
        console.error(`line ${line} is no JSON object and was left out`);
        process.exitCode = 1;
        continue;
      }
      await shipper.syncAddItem(event);
      console.log(`stored ${String(event['id'])}`);
    }
  } finally {
    // Also after a failure: what is stored is delivered, and the process does not stay for it for ever.
    await shipper.close();
  }
}

function eventIn(line: string): Event | undefined {
  try {
    const event: unknown = JSON.parse(line);
    return typeof event === 'object' && event !== null && !Array.isArray(event) ? (event as Event) : undefined;
  } catch {
    return undefined;
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
