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

/** As `closedLoop`, with `chunk` values in each call. */
export async function many({ n, callers, chunk }, call, meter) {
  let next = 0;
  let sum = 0;
  let count = 0;
  async function caller() {
    while (next < n) {
      const first = next;
      next += chunk;
      const values = range(first, chunk);
      const answers = await call(values);
      for (let i = 0; i < chunk; i++) {
        if (answers[i] === values[i] * 2) count++;
        sum += answers[i] / 2;
      }
    }
  }
  meter.start();
  await Promise.all(Array.from({ length: callers }, caller));
  meter.stop();
  return { count, sum };
}

/** A loop, since `Array.from` would cost more than what is measured. */
export function range(first, length) {
  const values = [];
  for (let i = 0; i < length; i++) values.push(first + i);
  return values;
}
