import type { FlatError } from './error-codec.js';

/** The announcement of a host, sent twice a second and in every answer to "who is there?". */
export interface HostCard {
  readonly id: string;
  /** Values that it has accepted and not answered. */
  readonly pending: number;
  readonly weight: number;
  /** The largest batch that it has executed so far. */
  readonly batchSize: number;
  /** Values it has room for in all; 0 for no bound. */
  readonly room: number;
  readonly draining: boolean;
}

/** A batch of values for a host. `left`: milliseconds until its last caller stops waiting; 0 for no bound. */
export interface Request {
  readonly id: string;
  readonly values: readonly unknown[];
  readonly left: number;
  /** Names of the hooks whose events the caller wants. */
  readonly hooks: boolean;
}

/**
 * `accepted` says which host took a call from the queue; `event` is what a hook sent; `results` begin at `from` and may come
 * in several parts; `busy` is a call that the host had no room for.
 */
export type Answer =
  | { readonly type: 'accepted' }
  | { readonly type: 'event'; readonly id: string; readonly hook: string; readonly payload: unknown }
  | {
      readonly type: 'results';
      readonly id: string;
      readonly from: number;
      readonly results: readonly unknown[];
      readonly errors?: readonly (readonly [index: number, error: FlatError])[];
    }
  | { readonly type: 'busy'; readonly id: string };

/** All answers of a turn of the event loop to one caller. */
export interface Answers {
  readonly host: string;
  /** As in its card. */
  readonly pending: number;
  readonly batchSize: number;
  readonly list: readonly Answer[];
}

/** To a host about calls that it has. */
export interface Control {
  readonly cancel?: readonly string[];
  /** Which of these calls do you not have? */
  readonly probe?: readonly string[];
}

export interface ProbeAnswer {
  readonly missing: readonly string[];
  readonly pending: number;
}

const encoder = new TextEncoder();

export function pack(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** Subjects of a serving. */
export const subjects = {
  /** The queue group that any host reads. */
  queue: (name: string) => `bs.${name}.q`,
  /** Calls for one host. */
  host: (name: string, id: string) => `bs.${name}.h.${id}`,
  control: (name: string, id: string) => `bs.${name}.c.${id}`,
  announcements: (name: string) => `bs.${name}.up`,
  who: (name: string) => `bs.${name}.who`,
};

/** Bytes of a message that are not its list: subject, reply, headers. */
const headroom = 4096;

/** Entries already encoded, in as few messages as fit, in order. A single entry that is too large is left to the caller. */
export function inMessages(entries: readonly string[], largest: number): string[][] {
  const messages: string[][] = [];
  let bytes = Infinity;
  for (const entry of entries) {
    const size = Buffer.byteLength(entry) + 1;
    if (bytes + size > largest - headroom) {
      messages.push([]);
      bytes = 0;
    }
    messages.at(-1)?.push(entry);
    bytes += size;
  }
  return messages;
}
