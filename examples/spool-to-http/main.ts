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
 */
const { values } = parseArgs({ options: { directory: { type: 'string' }, url: { type: 'string' } } });
const { directory, url } = values;

async function main(): Promise<void> {
  if (directory === undefined || url === undefined) {
    throw new Error('--directory and --url are needed');
  }
  const shipper = new Shipper({ directory, url });
  shipper.on('failed', ({ attempt, error }) => {
    console.error(`attempt ${attempt} failed: ${error instanceof Error ? error.message : String(error)}`);
  });
  flushOnExit(shipper);
  const { files, items } = await shipper.open();
  console.error(`${items} events in ${files} files were left from before`);
  for await (const line of createInterface({ input: process.stdin })) {
    const event = JSON.parse(line) as Event;
    await shipper.syncAddItem(event);
    console.log(`stored ${String(event['id'])}`);
  }
  await shipper.close();
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
