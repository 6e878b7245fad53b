import { start } from './support/processes.js';

// The same feed on another engine; what it asserts is in the child.
test('two collectors share a log on Postgres: everything once, poison buried, and delivered once it is cured', async () => {
  const child = await start('postgres', []);
  await child.exited;
  expect(child.said.get('passed')).toBe(true);
});
