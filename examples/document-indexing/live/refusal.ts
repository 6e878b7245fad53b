/** A request that is not granted: with the status of HTTP and one clear sentence. */
export class RefusedError extends Error {
  override name = 'RefusedError';

  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}
