import { BatchServer } from '../../lib/batch-please.js';
import { range } from '../../lib/callers.js';
import { judge, turn } from '../../lib/sink.js';

class Adder extends BatchServer {
  init() {
    return { state: { count: 0, sum: 0 } };
  }
  handleBatch(ops, state) {
    for (const op of ops) state.sum += op.message;
    state.count += ops.length;
  }
}

export async function run({ n, perTurn, batch }, meter) {
  const server = await Adder.start();
  const state = await server.sys.getState();
  meter.start();
  if (batch === undefined) {
    for (let i = 0; i < n;) {
      for (const end = Math.min(n, i + perTurn); i < end; i++) server.cast(i);
      await turn();
    }
  } else {
    for (let i = 0; i < n;) {
      for (const end = Math.min(n, i + perTurn); i < end; i += batch) server.castBatch(range(i, batch));
      await turn();
    }
  }
  await server.stop();
  meter.stop();
  return judge({ expected: n, ...state }, { rate: n / (meter.wall / 1e9) });
}
