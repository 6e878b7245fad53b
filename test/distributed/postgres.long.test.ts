import { readFileSync } from 'node:fs';
import { start } from './support/processes.js';

jest.setTimeout(300_000);

// The same feed on another engine; what it asserts is in the child.
test('two collectors share a log on Postgres: everything once, poison buried, and delivered once it is cured', async () => {
  const child = await start('postgres', []);
  await child.exited;
  expect(child.said.get('passed')).toBe(true);
});

test('the example is as short as it claims: at most 60 lines', () => {
  const text = readFileSync('examples/postgres-log/postgres-log.ts', 'utf8');
  expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(60);
});
