/** Base of every error that the library makes: `code` to branch on, `cause` kept, data as fields. */
export class BatchError extends Error {
  /** The name of the class; it survives minification. */
  override readonly name: string = 'BatchError';
  /** `ERR_BATCH` and the kind of failure. Compare this where two copies of the package may be loaded. */
  readonly code: string = 'ERR_BATCH';

  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

/** An option is wrong, unknown or missing. Thrown by constructors and by verbs that take options. */
export class OptionsError extends BatchError {
  override readonly name = 'OptionsError';
  override readonly code = 'ERR_BATCH_OPTIONS';

  constructor(
    message: string,
    /** The option's name; a dot leads into a nested one (`retry.factor`). */
    readonly option: string,
    /** The values that are allowed, in words. */
    readonly expected: string,
    /** The value that was passed. */
    readonly given: unknown,
  ) {
    super(message);
  }
}

/** A hook that is needed is neither a method nor an option. Thrown by the first add. */
export class MissingHookError extends BatchError {
  override readonly name = 'MissingHookError';
  override readonly code = 'ERR_BATCH_HOOK';

  constructor(
    /** The name of the hook, for example `batchFlush`. */
    readonly hook: string,
    owner: string,
    isOption = true,
  ) {
    const option = isOption ? `, or pass it as the option ${hook}` : '';
    super(`${owner} has no ${hook}: write it as a method of the class${option}`);
  }
}

/** A batcher takes no more items or calls, or was closed before it delivered this one. */
export class ClosedError extends BatchError {
  override readonly name = 'ClosedError';
  override readonly code = 'ERR_BATCH_CLOSED';

  constructor(
    message: string,
    cause?: unknown,
    /** The item is stored, and is delivered after the next start. */
    readonly stored: boolean = false,
  ) {
    super(message, cause);
  }
}

/** `clear()` took the item back before it was delivered. */
export class ClearedError extends BatchError {
  override readonly name = 'ClearedError';
  override readonly code = 'ERR_BATCH_CLEARED';

  constructor() {
    super('taken back by clear() before it was delivered');
  }
}

/** For `batchFlush` to throw: some of the items were not delivered, all others were. */
export class PartialFlushError extends BatchError {
  override readonly name = 'PartialFlushError';
  override readonly code = 'ERR_BATCH_PARTIAL';

  constructor(
    /** Aligned with the items of the batch, `undefined` where one was delivered; or pairs `[index, error]`. */
    readonly errors: readonly unknown[] | readonly (readonly [index: number, error: unknown])[],
  ) {
    super('some items of the batch were not delivered');
  }
}

/** For `batchFlush` to throw: the batch is too large for the sink, and is halved. */
export class TooLargeError extends BatchError {
  override readonly name = 'TooLargeError';
  override readonly code = 'ERR_BATCH_TOO_LARGE';

  constructor(message = 'the batch is too large for its sink', cause?: unknown) {
    super(message, cause);
  }
}

/** There is no room: `maxPending` (or `maxBytes` on disk) is reached. */
export class OverflowError extends BatchError {
  override readonly name = 'OverflowError';
  override readonly code = 'ERR_BATCH_OVERFLOW';

  constructor(
    message: string,
    /** Items (for `maxBytes`: bytes) that are accepted and not settled. */
    readonly pending: number,
    /** The bound that was reached, in the same unit. */
    readonly limit: number,
  ) {
    super(message);
  }
}

/** One item was refused by a hook; its batch stays as it was. */
export class ItemError extends BatchError {
  override readonly name = 'ItemError';
  override readonly code = 'ERR_BATCH_ITEM';

  constructor(
    /** The hook that refused it, for example `batchAddItem`. */
    readonly hook: string,
    cause: unknown,
  ) {
    super(`an item was refused by ${hook}: ${messageOf(cause)}`, cause);
  }
}

/** A batch was not delivered by its last attempt: it is held, or dropped. */
export class FlushError extends BatchError {
  override readonly name = 'FlushError';
  override readonly code = 'ERR_BATCH_FLUSH';

  constructor(
    message: string,
    /** The batch's id, the same in every attempt: `context.id` of the hooks. */
    readonly id: string,
    /** Items in the batch. */
    readonly size: number,
    /** Attempts so far. */
    readonly attempt: number,
    cause: unknown,
  ) {
    super(message, cause);
  }
}

/** An attempt, a hook, a call or a wait took longer than its limit. */
export class TimeoutError extends BatchError {
  override readonly name = 'TimeoutError';
  override readonly code = 'ERR_BATCH_TIMEOUT';

  constructor(
    what: string,
    /** The limit, in milliseconds. */
    readonly timeout: number,
  ) {
    super(`${what} took longer than ${timeout} ms`);
  }
}

/** A handler answered with another number of results than it was given values. */
export class ResultCountError extends BatchError {
  override readonly name = 'ResultCountError';
  override readonly code = 'ERR_BATCH_RESULTS';

  constructor(
    /** Values that the handler was given. */
    readonly expected: number,
    /** Results that it answered with. */
    readonly received: number,
    what = 'the handler',
  ) {
    super(`${what} must give one result for each of ${expected} values, and gave ${received}`);
  }
}

/** A batch server has stopped, or did not start. */
export class StoppedError extends BatchError {
  override readonly name = 'StoppedError';
  override readonly code = 'ERR_BATCH_STOPPED';

  constructor(
    message: string,
    /** The reason that was passed to `stop`, returned by a hook as `stop`, or thrown by a hook. */
    readonly reason: unknown,
    /** The error of a hook, if that stopped the server. */
    cause: unknown = isError(reason) ? reason : undefined,
  ) {
    super(message, cause);
  }
}

/** `close` could not deliver everything. */
export class CloseError extends BatchError {
  override readonly name = 'CloseError';
  override readonly code = 'ERR_BATCH_CLOSE';

  constructor(
    /** How many items were not delivered. */
    readonly undelivered: number,
    /** The batches that they are in, oldest first. */
    readonly batches: readonly unknown[],
    cause?: unknown,
  ) {
    super(`closed with ${undelivered} undelivered`, cause);
  }
}

/** The disk refused: nothing of what the message names is stored. */
export class StorageError extends BatchError {
  override readonly name = 'StorageError';
  override readonly code = 'ERR_BATCH_STORAGE';
}

/** Another live process owns the directory. */
export class LockedError extends BatchError {
  override readonly name = 'LockedError';
  override readonly code = 'ERR_BATCH_LOCKED';
}

const ERROR_TAGS = ['[object Error]', '[object DOMException]'];

/** Also of an error of another realm, as under test frameworks. Never throws, as `instanceof` does for a revoked proxy. */
export function isError(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  try {
    if (value instanceof Error) return true;
    return 'stack' in value && ERROR_TAGS.includes(Object.prototype.toString.call(value));
  } catch {
    return false;
  }
}

/** Never throws, whatever was thrown: an error's fields may be getters, and an object may have no way to be a string. */
export function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return typeof error;
  }
}
