import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { BatchServer, type Op } from 'batch-please';
import { turns } from '../support/servers.js';

interface Request {
  answer: 'at once' | 'a turn later' | 'never';
}

class Keeper extends BatchServer<null, Request, true> {
  init(): void {
    // Without a state.
  }

  handleBatch(ops: readonly Op<Request, true, never>[]): void {
    for (const op of ops) {
      if (op.kind !== 'call' || op.request.answer === 'never') continue;
      if (op.request.answer === 'at once') op.reply(true);
      // By then its timeout has started.
      else setImmediate(op.reply, true);
    }
  }
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

test.each(['at once', 'a turn later'] as const)(
  'calls answered %s are not kept, though one before them waits on',
  async (answer) => {
    const server = await Keeper.start();
    const waiting = server.call({ answer: 'never' });
    const calls = 5000;
    const requests: WeakRef<Request>[] = [];
    const ask = (): Promise<true> => {
      const request: Request = { answer };
      requests.push(new WeakRef(request));
      return server.call(request);
    };
    for (let i = 0; i < calls / 100; i++) {
      await Promise.all(Array.from({ length: 100 }, ask));
      await turns();
    }
    collect();
    // Some may stay until there are enough of them.
    expect(requests.filter((request) => request.deref() !== undefined).length).toBeLessThan(calls / 2);
    await server.stop();
    await expect(waiting).rejects.toThrow('has stopped');
  },
);

test('an idle server kept the requests of its last burst until the next message', async () => {
  const server = await Keeper.start();
  const requests: WeakRef<Request>[] = [];
  const ask = (): Promise<true> => {
    const request: Request = { answer: 'a turn later' };
    requests.push(new WeakRef(request));
    return server.call(request);
  };
  await Promise.all(Array.from({ length: 500 }, ask));
  const kept = (): number => requests.filter((request) => request.deref() !== undefined).length;
  // V8 may hold a few of them for a while, for a compilation in another thread; a server that keeps them keeps all 500.
  for (let round = 0; round === 0 || (round < 10 && kept() > 0); round++) {
    await turns();
    collect();
  }
  expect(kept()).toBeLessThan(10);
  await server.stop();
});
