import { BatchServer, RequestCollection, type Op } from 'batch-please';
import type { Answer, CallOp, CastOp, InfoOp, RequestId } from 'batch-please';

interface Lines {
  append(lines: string[]): void;
}
type LogOp = Op<never, void, string, never>;

/** Only casts, as a log writer has them. */
class Log extends BatchServer<Lines, never, void, string, never> {
  init(path: string) {
    return {
      state: {
        append: (lines: string[]) => {
          console.log(path, lines);
        },
      },
    };
  }
  handleBatch(ops: readonly LogOp[], state: Lines): void {
    state.append(ops.map((op) => op.message));
  }
}

class Counter extends BatchServer<number, 'get' | { add: number }, number, number> {
  init() {
    return { state: 0, continue: 'warm up' };
  }
  handleBatch(ops: readonly Op<'get' | { add: number }, number, number>[], state: number) {
    for (const op of ops) {
      if (op.kind === 'cast') state += op.message;
      else if (op.kind === 'call') op.reply(op.request === 'get' ? state : op.request.add);
      else console.log(op.message satisfies unknown);
    }
    return { state };
  }
  override handleContinue(term: string, state: number) {
    return { state: state + term.length };
  }
}

// Checked by `npm run typecheck`; what is here would not run.
async function types(): Promise<void> {
  const log = await Log.start('/var/log/app.log', { maxBatchSize: 4096 });
  log satisfies Log;
  log.cast('line');
  log.castBatch(['one', 'two']);
  // @ts-expect-error a cast of this server is a string
  log.cast(5);
  // @ts-expect-error so are those of a batch
  log.castBatch([5]);
  // @ts-expect-error it takes no calls
  void log.call('x');
  // @ts-expect-error nor other messages
  log.info('x');
  // @ts-expect-error init needs a path
  await Log.start();
  // @ts-expect-error which is a string
  await Log.start(5);
  // @ts-expect-error there is no such option
  await Log.start('/x', { maxBatchsize: 1 });
  // @ts-expect-error nor such a growth
  await Log.start('/x', { batchSizeGrowth: { aimd: '1' } });
  // @ts-expect-error only subclasses can be started
  await BatchServer.start();

  const counter = await Counter.start();
  const reply: number = await counter.call({ add: 1 });
  // @ts-expect-error no such request
  void counter.call('set');
  // @ts-expect-error the reply is a number
  const wrong: string = await counter.call('get');
  counter.info({ any: 'thing' });
  const id: RequestId<number> = counter.sendRequest('get');
  const answer: Answer<number> | { readonly kind: 'timeout' } = await id.wait({ at: 5 });
  if (answer.kind === 'reply') answer.reply satisfies number;
  const collection = new RequestCollection<number, symbol>();
  collection.add(id, Symbol('label'));
  // @ts-expect-error the label is a symbol
  collection.add(id, 'label');
  const first = await collection.wait(5, { delete: false });
  if (first.kind === 'reply') first.label satisfies symbol;
  counter.sys.getState() satisfies number;
  // @ts-expect-error the state is a number
  void counter.sys.replaceState(() => 'x');
  counter.on('stopped', ({ reason, dropped }) => [reason satisfies unknown, dropped satisfies number]);
  // @ts-expect-error no such event
  counter.on('flushed', () => undefined);
  counter.sys.trace((event) => {
    if (event.type === 'batch') event.size satisfies number;
  });
  // @ts-expect-error 'drain' or 'reject'
  void counter.stop('x', { pending: 'all' });
  expect([reply, wrong]).toBeDefined();

  class Wrong extends BatchServer<number> {
    init() {
      return { state: 0 };
    }
    // @ts-expect-error the next state is a number as well
    handleBatch() {
      return { state: 'x' };
    }
  }
  expect(Wrong).toBeDefined();
  // @ts-expect-error init and handleBatch are required
  class Less extends BatchServer<number> {}
  expect(Less).toBeDefined();
}

type Same<A, B> = [A, B] extends [B, A] ? true : false;

test('types', () => {
  const same: [
    Same<LogOp, CastOp<string>>,
    Same<Op<string, number, never, never>, CallOp<string, number>>,
    Same<Op<never, void, number>, CastOp<number> | InfoOp<unknown>>,
  ] = [true, true, true];
  expect(same).toEqual([true, true, true]);
  expect(types).toBeInstanceOf(Function);
});
