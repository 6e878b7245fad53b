import { flatten, type FlatError } from './error-codec.js';
import type { Answer } from './wire.js';

export type Settled = PromiseSettledResult<unknown>;

export function answerOf(id: string, outcomes: readonly Settled[]): Answer {
  const results: unknown[] = [];
  const errors: (readonly [number, FlatError])[] = [];
  outcomes.forEach((outcome, index) => {
    results.push(outcome.status === 'fulfilled' ? outcome.value : null);
    if (outcome.status === 'rejected') errors.push([index, flatten(outcome.reason)]);
  });
  return { type: 'results', id, from: 0, results, ...(errors.length > 0 && { errors }) };
}

/** In halves if it is too large for a message; a single result that is too large, or no JSON, becomes an error. */
export function encodeAnswer(answer: Answer, largest: number): string[] {
  let text: string | undefined;
  let problem: unknown;
  try {
    text = JSON.stringify(answer);
    if (Buffer.byteLength(text) <= largest) return [text];
    problem = new RangeError(`a result of ${Buffer.byteLength(text)} bytes, and a message takes ${largest}`);
  } catch (error) {
    problem = error;
  }
  if (answer.type !== 'results') return []; // an event that cannot be sent
  const { results, errors = [], from } = answer;
  if (results.length <= 1) {
    return [JSON.stringify({ ...answer, results: [null], errors: [[0, flatten(problem)]] })];
  }
  const half = results.length >> 1;
  const first = { ...answer, results: results.slice(0, half), errors: errors.filter(([index]) => index < half) };
  const moved = errors.filter(([index]) => index >= half).map(([index, error]) => [index - half, error] as const);
  const second = { ...answer, from: from + half, results: results.slice(half), errors: moved };
  return [...encodeAnswer(first, largest), ...encodeAnswer(second, largest)];
}
