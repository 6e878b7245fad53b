import type { Batch } from '../core/batch.js';
import { RunContext } from '../core/run-context.js';
import type { FlushContext } from './types.js';

/** The context argument of the hooks, for one run. */
export class HookContext extends RunContext implements FlushContext {
  constructor(
    batch: Batch<unknown>,
    readonly id: string,
  ) {
    super(batch, batch.size);
  }
}
