import { RemoteServing } from '../../../dist/esm/distributed/nats/index.js';
import { withServer } from '../../lib/nats.js';
import { callBy } from './callers.js';

export const run = (params, meter) =>
  withServer(async ({ connection, host }) => {
    const { hosts = 1, fix, per } = params;
    for (let i = 0; i < hosts; i++) await host({ fix, per });
    const remote = new RemoteServing({ connection, name: 'bench' });
    while (remote.hosts.length < hosts) await new Promise((resolve) => setTimeout(resolve, 10));
    const result = await callBy(params, meter, (value) => remote.dispatch(value));
    await remote.close();
    return result;
  });
