import { BatchServer } from '../../lib/batch-please.js';
import { closedLoop } from '../../lib/callers.js';
import { judge } from '../../lib/sink.js';

class Doubler extends BatchServer {
  init() {}
  handleBatch(ops) {
    for (const op of ops) op.reply(op.request * 2);
  }
}

export async function run({ n, callers }, meter) {
  const server = await Doubler.start();
  meter.start();
  const answers = await closedLoop({ n, callers }, (value) => server.call(value));
  meter.stop();
  await server.stop();
  return judge({ expected: n, ...answers }, { rate: n / (meter.wall / 1e9) });
}
