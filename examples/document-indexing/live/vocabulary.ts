import { wordsOf } from './hashed-embedding.js';

const MAX_WORDS = 200_000;
const SHORTEST = 4;
const LONGEST = 24;
/** Letters of one script with spaces between words; digits are not misspelt. */
const WORD = /^[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}]+$/u;

/** The words of all documents, by length: what a misspelt word of a query may have been meant to be. */
export class Vocabulary {
  readonly #words = new Set<string>();
  readonly #byLength = new Map<number, string[]>();

  add(words: Iterable<string>): void {
    for (const word of words) {
      if (this.#words.has(word) || this.#words.size >= MAX_WORDS) continue;
      this.#words.add(word);
      const same = this.#byLength.get(word.length);
      if (same === undefined) this.#byLength.set(word.length, [word]);
      else same.push(word);
    }
  }

  /** Words of the texts that it does not hold. */
  missing(texts: readonly string[]): string[] {
    const found = new Set<string>();
    if (this.#words.size >= MAX_WORDS) return [];
    for (const text of texts) {
      for (const word of wordsOf(text)) {
        if (!this.#words.has(word) && isWord(word)) found.add(word);
      }
    }
    return [...found];
  }

  /** The nearest words, at most `count`, nearest first; none for a word that is near to nothing. */
  nearest(word: string, count: number): string[] {
    if (!isWord(word)) return [];
    const most = word.length < 6 ? 1 : 2;
    const found: { known: string; distance: number }[] = [];
    for (let length = word.length - most; length <= word.length + most; length += 1) {
      for (const known of this.#byLength.get(length) ?? []) {
        const distance = distanceOf(word, known, most);
        // The first letter of a word is hardly ever wrong.
        if (distance <= most) found.push({ known, distance: known[0] === word[0] ? distance : distance + 0.5 });
      }
    }
    found.sort((a, b) => a.distance - b.distance || (a.known < b.known ? -1 : 1));
    return found.slice(0, count).map(({ known }) => known);
  }
}

function isWord(word: string): boolean {
  return word.length >= SHORTEST && word.length <= LONGEST && WORD.test(word);
}

/**
 * How many letters are wrong, missing, too many or swapped with their neighbour (Damerau and Levenshtein); any number
 * above `most` if it is more than that.
 */
export function distanceOf(a: string, b: string, most: number): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    let least = i;
    for (let j = 1; j <= b.length; j += 1) {
      const same = a.charCodeAt(i - 1) === b.charCodeAt(j - 1);
      let distance = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      const swapped = a.charCodeAt(i - 1) === b.charCodeAt(j - 2) && a.charCodeAt(i - 2) === b.charCodeAt(j - 1);
      if (swapped && i > 1 && j > 1) distance = Math.min(distance, (before[j - 2] ?? 0) + 1);
      row.push(distance);
      least = Math.min(least, distance);
    }
    if (least > most) return least;
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
