import { join } from 'node:path';
import { root, run } from '../support/project.js';

jest.setTimeout(240_000);

test('the demonstration of the Postgres log sets one order aside, and stores it once it is cured', async () => {
  const program = join(root, 'examples/postgres-log/main.ts');
  const { code, stdout, stderr } = await run(process.execPath, ['--import', 'tsx', program], root, 200_000);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^1,000 orders[^]*\n999 are stored, 1 is set aside\n.*1 is put back\n1000 are stored\n$/);
});
