import type { Batch } from './batch.js';

interface ProcessLike {
  env?: Record<string, string | undefined>;
}

/** `BATCH_PLEASE_DEBUG=1` checks the invariants after every turn. */
export const DEBUG: boolean = (globalThis as { process?: ProcessLike }).process?.env?.['BATCH_PLEASE_DEBUG'] === '1';

/** The numbers that are checked; the core has all of them. */
export interface Checked {
  readonly accepted: number;
  readonly waiting: number;
  readonly joined: number;
  readonly sealed: number;
  readonly settled: number;
  readonly finished: number;
  readonly adopted: number;
  readonly pending: number;
  readonly size: number;
  readonly weight: number;
  readonly fastLimit: number;
  readonly busy: number;
  readonly still: boolean;
  readonly limits: { size: number; lanes: number };
  readonly log: Iterable<Batch<unknown>>;
  readonly active: ReadonlySet<Batch<unknown>>;
  readonly queue: Batch<unknown> | undefined;
}

/** The numbers of a core, for a person to read. */
export function debugState(core: Checked): Record<string, unknown> {
  const { accepted, waiting, joined, sealed, settled, finished, pending, size, weight, fastLimit, busy } = core;
  const batches = [...core.log].map(({ from, to, size: entries, status, lane, attempt, wakeAt, reason }) => {
    return { from, to, size: entries, status, lane, attempt, wakeAt, reason };
  });
  const numbers = { accepted, waiting, joined, sealed, settled, finished, pending, size, weight, fastLimit, busy };
  return { ...numbers, batches };
}

/** Throws if an invariant of the core does not hold; the numbers are those above its class. */
export function checkInvariants(core: Checked): void {
  const fail = (rule: string): never => {
    throw new Error(`invariant ${rule} does not hold: ${JSON.stringify(debugState(core))}`);
  };
  const { accepted, joined, sealed, settled, size, waiting } = core;
  if (!(settled <= sealed && sealed <= joined && joined <= accepted)) fail('1 (order of the cursors)');
  if (waiting < 0 || waiting > accepted - joined) fail('1 (entries that wait)');
  let from = -Infinity;
  let entries = size;
  let laned = 0;
  for (const batch of core.log) {
    if (batch.from < from) fail('2 (batches in the order of the log)');
    if (batch.size <= 0 && batch.status !== 'settled') fail('3 (no empty batch)');
    from = batch.from;
    // One that is delivered or given up stays until its work has been tried once.
    if (batch.work === undefined && batch.status !== 'settled') entries += batch.size;
    if (batch.status === 'queued' && batch.lane >= 0) fail('a queued batch has no lane');
  }
  for (const batch of core.active) if (batch.lane >= 0) laned++;
  if (laned !== core.busy) fail('every lane in use has a batch');
  if (core.queue !== undefined && core.active.has(core.queue)) fail('the queue starts with a batch without a lane');
  if (core.pending < entries || core.pending < 0) fail('pending covers every batch');
  if (size < 0 || (size > core.limits.size && core.still)) fail('3 (size)');
}
