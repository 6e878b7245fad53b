import { ItemError } from '../src/index.js';
import { BadItem } from './contract.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One item as a line of JSON. @throws ItemError for what JSON cannot express, such as `undefined` or a cycle. */
export function encodeItem(item: unknown): string {
  if (item instanceof BadItem) return item.line;
  let line: string | undefined;
  try {
    line = stringify(item);
  } catch (error) {
    throw new ItemError('encode', error);
  }
  if (line === undefined) throw new ItemError('encode', new TypeError(`${typeof item} is no JSON`));
  return line;
}

// Typed more exactly: for a function and for `undefined` it returns `undefined`.
const stringify = JSON.stringify as (value: unknown) => string | undefined;

/** Many items in one message, as newline-delimited JSON: other languages and command line tools read it. */
export function packFrame(items: readonly unknown[]): Uint8Array {
  return encoder.encode(items.map(encodeItem).join('\n'));
}

/** The items of a frame. A bad line costs that item, not the frame. The last line may end in a line break. */
export function unpackFrame<Item>(frame: Uint8Array | string): (Item | BadItem)[] {
  const text = typeof frame === 'string' ? frame : decoder.decode(frame);
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  // One call for the whole frame is several times faster than one for each line. The count guards against a line that
  // holds several values.
  try {
    const items = JSON.parse(`[${lines.join(',')}]`) as Item[];
    if (items.length === lines.length) return items;
  } catch {
    // Some line is bad; each is read on its own below.
  }
  return lines.map((line) => {
    try {
      return JSON.parse(line) as Item;
    } catch (error) {
      return new BadItem(line, error);
    }
  });
}

/** A text that fits in a header of a message or a column: one line, at most 500 characters. Never throws. */
export function errorText(error: unknown): string {
  try {
    const text = error instanceof Error ? error.message : String(error);
    return text.replace(/[\r\n]+/g, ' ').slice(0, 500);
  } catch {
    return typeof error;
  }
}
