import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { MetricsSink, type Summary } from './metrics-sink.js';

/** An endpoint that shows what it is sent, and a thousand producers. */
const endpoint = createServer((request, response) => {
  let body = '';
  request.on('data', (chunk: Buffer) => (body += chunk.toString()));
  request.on('end', () => {
    for (const { name, count, sum } of JSON.parse(body) as Summary[]) {
      console.log(`${name}: ${count} samples, mean ${(sum / count).toFixed(1)}`);
    }
    response.end();
  });
}).listen(0, '127.0.0.1');
await new Promise((resolve) => endpoint.once('listening', resolve));
const url = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}`;

const sink = await MetricsSink.start({ url, interval: 100 });
const producer = async (number: number): Promise<void> => {
  for (let i = 0; i < 100; i++) {
    sink.cast({ name: 'latency', value: number % 50 });
    sink.cast({ name: 'bytes', value: 512 });
    if (i % 10 === 0) await pause(5);
  }
};
await Promise.all(Array.from({ length: 1000 }, (_, number) => producer(number)));
await sink.close();
endpoint.close();
const { ops, batches, sizes } = sink.sys.statistics();
console.log(`${ops} messages in ${batches} batches, the largest of ${sizes.max}`);
