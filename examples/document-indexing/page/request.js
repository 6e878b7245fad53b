/**
 * `fetch`, where everything but success is an error that says in one sentence what is wrong.
 *
 * @param {string} address
 * @param {RequestInit} [init]
 */
export async function request(address, init) {
  const answer = await fetch(address, init).catch((/** @type {unknown} */ error) => {
    if (init?.signal?.aborted) throw error;
    throw new Error('The server does not answer.');
  });
  if (answer.ok) return answer;
  /** @type {unknown} */
  const refusal = await answer.json().catch(() => undefined);
  const said = typeof refusal === 'object' && refusal !== null && 'error' in refusal ? refusal.error : undefined;
  throw new Error(typeof said === 'string' ? said : `The server answered with ${answer.status}.`);
}

/** @param {unknown} error */
export function reasonOf(error) {
  return error instanceof Error ? error.message : String(error);
}
