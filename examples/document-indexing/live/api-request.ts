import { setTimeout as sleep } from 'node:timers/promises';
import { printable } from '../printable.js';
import type { OnWait } from './embedder.js';

export interface ApiSettings {
  url: URL;
  model: string;
  key: string | undefined;
  costPerMillionTokens: number;
}

/**
 * `denied`: the same request is refused however often it is made. `content`: for what is in it. `odd`: an answer of
 * another shape. `temporary`: everything else.
 */
export type Failure = 'denied' | 'content' | 'odd' | 'temporary';

export class ApiError extends Error {
  override name = 'ApiError';

  constructor(
    message: string,
    readonly kind: Failure,
  ) {
    super(message);
  }
}

/** What to do when the API asks to wait: call this and wait, or fail. */
export type Wait = OnWait | 'never';

const REQUEST_TIMEOUT = 60_000;
/** An API that says "later" is believed, within reason. */
const LONGEST_WAIT = 60_000;
const MAX_REASON = 200;

/** One vector for each text. While it waits, its partition does too: texts queue up instead of requests. */
export async function requestVectors(
  { url, model, key }: ApiSettings,
  texts: readonly string[],
  onWait: Wait,
  outer?: AbortSignal,
): Promise<number[][]> {
  const headers = { 'content-type': 'application/json', ...(key !== undefined && { authorization: `Bearer ${key}` }) };
  const body = JSON.stringify({ input: texts, model });
  for (;;) {
    const timeout = AbortSignal.timeout(REQUEST_TIMEOUT);
    const signal = outer === undefined ? timeout : AbortSignal.any([outer, timeout]);
    const response = await send(url, { method: 'POST', headers, body, signal });
    if (response.ok) return vectorsIn(await response.text(), texts.length);
    const reason = await refusalOf(response);
    const wait = waitAskedFor(response.headers.get('retry-after'));
    const asksToWait = wait !== undefined && (response.status === 429 || response.status === 503);
    if (!asksToWait || onWait === 'never') throw new ApiError(reason, kindOf(response.status));
    const pause = Math.min(wait, LONGEST_WAIT);
    onWait(reason, pause);
    await sleep(pause, undefined, { signal: outer });
  }
}

async function send(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    const { cause } = error as Error;
    const why = cause instanceof Error ? printable(cause.message || cause.name) : 'no connection';
    throw new ApiError(`the embedding API at ${url.host} does not answer: ${why}`, 'temporary');
  }
}

function kindOf(status: number): Failure {
  if (status >= 500 || status === 408 || status === 425 || status === 429) return 'temporary';
  return status === 400 || status === 413 || status === 422 ? 'content' : 'denied';
}

/** The API's own sentence, where it has one. */
async function refusalOf(response: Response): Promise<string> {
  const text = await response.text().catch(() => '');
  let said = '';
  try {
    const { error, message } = JSON.parse(text) as { error?: string | { message?: string }; message?: string };
    said = (typeof error === 'string' ? error : error?.message) ?? message ?? '';
  } catch {
    // A page of a proxy, say: its status has to do.
  }
  const status = `the embedding API answered ${response.status} ${response.statusText}`.trimEnd();
  return typeof said === 'string' && said !== '' ? `${status}: ${printable(said).slice(0, MAX_REASON)}` : status;
}

/** Seconds or a date, in milliseconds from now. */
export function waitAskedFor(header: string | null): number | undefined {
  if (header === null || header.trim() === '') return undefined;
  const seconds = Number(header);
  const wait = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}

/** Each vector at the place that its `index` says; a place without one, or with two, is an error. */
function vectorsIn(text: string, expected: number): number[][] {
  let data: unknown;
  try {
    ({ data } = (JSON.parse(text) ?? {}) as { data?: unknown });
  } catch {
    throw odd('what is no JSON');
  }
  if (!Array.isArray(data) || data.length !== expected) throw odd(`what is no list of ${expected} embeddings`);
  const vectors = new Map<unknown, number[]>();
  for (const [i, entry] of (data as unknown[]).entries()) {
    const { embedding, index = i } = (entry ?? {}) as { embedding?: unknown; index?: unknown };
    if (!isVector(embedding)) throw odd('an embedding that is no list of numbers');
    if (vectors.has(index)) throw odd(`two embeddings for the text ${printable(String(index))}`);
    vectors.set(index, embedding);
  }
  return Array.from({ length: expected }, (_, i) => {
    const vector = vectors.get(i);
    if (vector === undefined) throw odd(`no embedding for the text ${i}`);
    return vector;
  });
}

function odd(what: string): ApiError {
  return new ApiError(`the embedding API answered with ${what}`, 'odd');
}

function isVector(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every((number) => Number.isFinite(number));
}
