import type { ServingState } from './types.js';
import type { ServingPort } from './executor.js';
import { readOnly } from '../core/read-only.js';
import type { Engine } from '../core/engine.js';
import type { Row } from './row.js';

/** The live view of a serving: nothing is copied, each look reads the numbers of the moment. */
export function servingState(engine: Engine<unknown, Row, readonly unknown[]>, port: ServingPort): ServingState {
  const { ledger } = engine;
  const counts = readOnly({
    get calls() {
      return port.counts.calls;
    },
    get values() {
      return ledger.accepted;
    },
    get batches() {
      return port.counts.batches;
    },
    get delivered() {
      return port.counts.delivered;
    },
    get failed() {
      return port.counts.failed;
    },
    get aborted() {
      return port.counts.aborted;
    },
  });
  return readOnly({
    counts,
    get pending() {
      return port.pending;
    },
    get running() {
      return ledger.active.filter((cut) => cut.running).length;
    },
  });
}
