import type { Awaitable, BatchServerOptions, MailboxSummary, Next, Op } from 'batch-please';
import { BatchServer } from 'batch-please';
import { TestClock } from 'batch-please/testing';

export type TestOp = Op<string, string, number, string>;
type Hook = (ops: readonly TestOp[], state: number) => Awaitable<Next<number> | void>;

/** The hooks of a `TestServer`, each to be written by the test. */
export interface TestHooks {
  init?: () => unknown;
  handleBatch?: Hook;
  handleContinue?: (term: unknown, state: number) => unknown;
  terminate?: (reason: unknown, state: number, summary?: MailboxSummary<TestOp>) => unknown;
  formatStatus?: (state: number) => unknown;
}

/**
 * A server whose state is the sum of its casts; a call is answered with its request and the state, and `later` is kept.
 * It notes what its hooks were given.
 */
export class TestServer extends BatchServer<number, string, string, number, string> {
  hooks: TestHooks = {};
  readonly sizes: number[] = [];
  /** Every message, as it was handled. */
  readonly messages: (number | string)[] = [];
  readonly log: string[] = [];
  readonly kept: ((reply: string) => void)[] = [];
  terminated: { reason: unknown; state: number; summary?: MailboxSummary<TestOp> | undefined } | undefined;

  init(hooks: TestHooks = {}): Awaitable<Next<number> | { ignore: true } | void> {
    this.hooks = hooks;
    this.log.push('init');
    return hooks.init === undefined ? { state: 0 } : (hooks.init() as Next<number>);
  }

  handleBatch(ops: readonly TestOp[], state: number): Awaitable<Next<number> | void> {
    this.sizes.push(ops.length);
    this.log.push(`batch ${ops.length}`);
    for (const op of ops) this.messages.push(op.kind === 'call' ? op.request : op.message);
    return this.hooks.handleBatch === undefined ? this.answer(ops, state) : this.hooks.handleBatch(ops, state);
  }

  answer(ops: readonly TestOp[], state: number): Next<number> {
    let next = state;
    for (const op of ops) {
      if (op.kind === 'cast') next += op.message;
      else if (op.kind === 'call') {
        if (op.request === 'later') this.kept.push(op.reply);
        else op.reply(`${op.request} ${next}`);
      }
    }
    return { state: next };
  }

  override handleContinue(term: unknown, state: number): Awaitable<Next<number> | void> {
    this.log.push(`continue ${String(term)}`);
    return this.hooks.handleContinue?.(term, state) as Next<number>;
  }

  override terminate(reason: unknown, state: number, summary?: MailboxSummary<TestOp>): Awaitable<void> {
    this.log.push('terminate');
    this.terminated = { reason, state, summary };
    return this.hooks.terminate?.(reason, state, summary) as Awaitable<void>;
  }

  override formatStatus(state: number): unknown {
    return this.hooks.formatStatus === undefined ? state : this.hooks.formatStatus(state);
  }
}

/** A server on a clock that the test moves. */
export async function testServer(
  hooks: TestHooks = {},
  options: BatchServerOptions = {},
): Promise<{ server: TestServer; clock: TestClock }> {
  const clock = new TestClock();
  const server = await TestServer.start(hooks, { clock, ...options });
  return { server, clock };
}

/** Some turns of the event loop: more than any chain of messages in these tests needs. */
export async function turns(count = 6): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
