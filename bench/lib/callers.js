/** Callers that each make their next call when the last one was answered. Resolves to the count and the sum of the answers. */
export async function closedLoop({ n, callers }, call) {
  let next = 0;
  let sum = 0;
  let count = 0;
  async function caller() {
    while (next < n) {
      const value = next++;
      const answer = await call(value);
      if (answer === value * 2) count++;
      sum += answer / 2;
    }
  }
  await Promise.all(Array.from({ length: callers }, caller));
  return { count, sum };
}

/** What every backend computes. */
export const double = (values) => values.map((value) => value * 2);
