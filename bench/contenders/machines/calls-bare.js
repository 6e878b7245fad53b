import { withServer } from '../../lib/nats.js';
import { callBy } from './callers.js';

export const run = (params, meter) =>
  withServer(async ({ connection, host }) => {
    await host({ bare: true });
    return callBy(params, meter, async (value) => {
      const answer = await connection.request('bench', JSON.stringify(value), { timeout: 30_000 });
      return answer.json();
    });
  });
