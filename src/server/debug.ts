/** The numbers of a mailbox loop. */
export interface LoopState {
  accepted: number;
  /** Messages that have left the mailbox. */
  taken: number;
  /** Messages in the mailbox. */
  size: number;
  handled: number;
  failed: number;
  dropped: number;
  /** Messages in the batch that runs. */
  running: number;
  busy: boolean;
  suspended: boolean;
  over: boolean;
  /** A round of the loop was asked for. */
  wanted: boolean;
  /** Callers that wait; in the heap of deadlines; of those with a finite deadline. */
  waiting: number;
  inHeap: number;
  timed: number;
}

/** A part of a server whose invariants can be checked. */
export interface Debugged {
  debugState(): LoopState;
  /** Each throws if an invariant of its own does not hold. */
  readonly checked: readonly { check(): void }[];
}

/** Throws if an invariant does not hold. Takes time in proportion to what is pending. */
export function checkInvariants(loop: Debugged): void {
  const state = loop.debugState();
  const { accepted, taken, size, handled, failed, dropped, running, busy, over } = state;
  const wrong = (what: string): never => {
    throw new Error(`invariant violated: ${what}`);
  };
  if (size < 0 || taken > accepted) wrong('taken <= accepted');
  if (accepted !== handled + failed + dropped + running + size)
    wrong('accepted = handled + failed + dropped + pending');
  if (running > 0 && !busy) wrong('a batch runs only while the server is busy');
  if (over && size + running > 0) wrong('nothing is pending when the server is over');
  if (size > 0 && !busy && !state.suspended && !state.wanted) wrong('a message in the mailbox is handled in the end');
  for (const part of loop.checked) part.check();
}

/** The part of Node's process that is used. */
interface Environment {
  process?: { env?: Record<string, string | undefined> };
}

type Report = (violation: Error) => void;

const always = (globalThis as Environment).process?.env?.BATCH_PLEASE_DEBUG === '1';
let report: Report | undefined = always ? fail : undefined;

/** For simulations: checks every server after every turn and reports violations, until it is called with `undefined`. */
export function checkAfterTurns(to: Report | undefined): void {
  report = to ?? (always ? fail : undefined);
}

/** Called by the loop after every turn. Does nothing in normal runs. */
export function afterTurn(server: Debugged): void {
  if (report === undefined) return;
  try {
    checkInvariants(server);
  } catch (error) {
    report(new Error(`${(error as Error).message}: ${JSON.stringify(server.debugState())}`));
  }
}

/** A violation is a bug of the library: it ends the process, unless a test reports it. */
function fail(violation: Error): never {
  throw violation;
}
