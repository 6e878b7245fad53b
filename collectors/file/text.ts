import { type Integrity, LONGEST_LINE } from './format.js';

/** In Node from 20 on; TypeScript has it in a later library than ours. */
type WellFormed = string & { isWellFormed(): boolean };

/** Code units of UTF-16 at a time; each unit is at most three bytes. */
const LONGEST_TEXT = Math.floor((LONGEST_LINE - 64) / 3);

/** Throws unless the text can stand in a line, and come back from it as it is. JSON has no newline, and is never empty. */
export function checkText(text: unknown, integrity: Integrity, isJson: boolean): asserts text is string {
  if (typeof text !== 'string') throw new TypeError(`encode must give a string, and gave ${typeof text}`);
  if (!isJson && text.includes('\n')) throw new TypeError('the text of an item must not contain a newline');
  if (text === '' && integrity === 'none') throw new TypeError('the text of an item must not be empty');
  if (!(text as WellFormed).isWellFormed()) throw new TypeError('the text of an item must be well-formed Unicode');
  if (text.length > LONGEST_TEXT && Buffer.byteLength(text) > LONGEST_TEXT * 3) throw new RangeError('it is too long');
}
