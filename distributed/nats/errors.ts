import { BatchError } from '../../src/index.js';

/** No host serves this name, or none has been found within `maxAttempts`. */
export class NoHostError extends BatchError {
  override readonly name = 'NoHostError';
  override readonly code = 'ERR_BATCH_NO_HOST';
}

/** A host stopped answering before it had answered these calls, and they are not repeated. */
export class HostLostError extends BatchError {
  override readonly name = 'HostLostError';
  override readonly code = 'ERR_BATCH_HOST_LOST';

  constructor(
    message: string,
    /** The host's `id`. */
    readonly host: string,
  ) {
    super(message);
  }
}
