import { restore } from './error-codec.js';
import type { Answer } from './wire.js';

/** The part of a handler's context about the waiting callers. */
export interface Waiting {
  readonly signal: AbortSignal;
  /** Milliseconds until the last caller stops waiting; `Infinity` if one waits without end. */
  left(): number;
  event(hook: string, payload: unknown): void;
  readonly hooks: boolean;
}

/** Values that are sent to a host together. */
export class Call {
  /** The host that it was sent to; `undefined` while no host has it, or it is in the queue. */
  host: string | undefined;
  /** The message that it was sent in. */
  token: string | undefined;
  sentAt = 0;
  /** When the host may be asked for it again. */
  askAt = 0;
  /** How often it was sent, or no host was found. */
  attempts = 0;
  /** How often a host had no room. */
  refusals = 0;
  over = false;
  readonly done: Promise<unknown[]>;
  readonly #results: unknown[];
  #missing: number;
  #resolve: (results: unknown[]) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(
    readonly id: string,
    /** As JSON. */
    readonly values: readonly string[],
    readonly waiting: Waiting,
    private readonly onEnd: () => void,
  ) {
    this.#results = new Array<unknown>(values.length);
    this.#missing = values.length;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** As it is sent. */
  encode(): string {
    const left = this.waiting.left();
    const bound = Number.isFinite(left) ? Math.max(1, Math.round(left)) : 0;
    return `{"id":"${this.id}","left":${bound},"hooks":${this.waiting.hooks},"values":[${this.values.join(',')}]}`;
  }

  receive({ from, results, errors = [] }: Extract<Answer, { type: 'results' }>): void {
    if (this.over) return;
    results.forEach((result, index) => {
      this.#results[from + index] = result;
    });
    for (const [index, error] of errors) this.#results[from + index] = restore(error);
    this.#missing -= results.length;
    if (this.#missing > 0) return;
    this.#end();
    this.#resolve(this.#results);
  }

  fail(error: unknown): void {
    if (this.over) return;
    this.#end();
    this.#reject(error);
  }

  /** Before it is sent anew: parts of an answer that did not come whole are void. */
  restart(): void {
    this.host = undefined;
    this.token = undefined;
    this.sentAt = 0;
    this.askAt = 0;
    this.#missing = this.values.length;
  }

  #end(): void {
    this.over = true;
    this.onEnd();
  }
}
