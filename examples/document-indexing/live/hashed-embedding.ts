/**
 * A text as a vector without a model: each of its words, pairs of neighbouring words and the pieces that words are made
 * of is hashed to one of the dimensions, with a sign ("feature hashing"), and weighs more the more often it occurs, but
 * less than in proportion: 1 + ln(times). Texts with the same words are near each other, and pieces bring those near
 * that share the stem of a word or are misspelt. It knows nothing of meaning: synonyms are far from each other.
 *
 * How rare a word is weighs in the query alone (the scheme `lnc.ltc` of the SMART system): the vector of a document
 * depends on nothing but its text, so it stays right however many documents come after it.
 */
export const DIMENSIONS = 384;
export const NAME = `hashed-ngrams-${DIMENSIONS}`;

const WORD = /[\p{L}\p{N}]+/gu;
/** What is longer is no word that users search for, such as encoded data. */
const MAX_WORD = 40;
const PIECE_LENGTHS = [3, 4];
/** A whole word weighs more than each of its pieces, and a pair of words carries their order. */
const PIECE_WEIGHT = 0.3;
const PAIR_WEIGHT = 0.7;

export function wordsOf(text: string): string[] {
  const words = text.normalize('NFKC').toLowerCase().match(WORD) ?? [];
  return words.filter((word) => word.length <= MAX_WORD);
}

/** Of length 1, or 0 for a text without words. `weightOf` is how much each word counts; 1 by default. */
export function embed(text: string, weightOf?: (word: string) => number): Float64Array {
  const vector = new Float64Array(DIMENSIONS);
  const words = wordsOf(text);
  for (const [word, times] of timesEach(words)) {
    const weight = (1 + Math.log(times)) * (weightOf?.(word) ?? 1);
    const { whole, pieces } = featuresOf(word);
    add(vector, whole, weight);
    for (const piece of pieces) add(vector, piece, weight * PIECE_WEIGHT);
  }
  const pairs = words.slice(1).map((word, i) => `${words[i] ?? ''} ${word}`);
  for (const [pair, times] of timesEach(pairs)) {
    const [first = '', second = ''] = weightOf === undefined ? [] : pair.split(' ');
    const rarity = weightOf === undefined ? 1 : (weightOf(first) + weightOf(second)) / 2;
    add(vector, hash(pair), (1 + Math.log(times)) * PAIR_WEIGHT * rarity);
  }
  return normalised(vector);
}

function timesEach(features: readonly string[]): Map<string, number> {
  const times = new Map<string, number>();
  for (const feature of features) times.set(feature, (times.get(feature) ?? 0) + 1);
  return times;
}

/** The same words come again and again; bounded, since some texts are not made of words. */
const known = new Map<string, { whole: number; pieces: number[] }>();
const MAX_KNOWN = 20_000;

function featuresOf(word: string): { whole: number; pieces: number[] } {
  let features = known.get(word);
  if (features === undefined) {
    if (known.size >= MAX_KNOWN) known.clear();
    features = { whole: hash(word), pieces: piecesOf(word).map(hash) };
    known.set(word, features);
  }
  return features;
}

/** With marks at both ends: the beginning of one word is not the middle of another. */
function piecesOf(word: string): string[] {
  const marked = `<${word}>`;
  return PIECE_LENGTHS.flatMap((length) =>
    Array.from({ length: Math.max(0, marked.length - length + 1) }, (_, at) => marked.slice(at, at + length)),
  );
}

/** FNV-1a, and a last round of mixing, since its low bits alone are poor. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/** The highest bit is the sign, so that what is hashed to one place by chance cancels out on average. */
function add(vector: Float64Array, feature: number, weight: number): void {
  const at = feature % DIMENSIONS;
  vector[at] = (vector[at] ?? 0) + (feature & 0x80000000 ? -weight : weight);
}

function normalised(vector: Float64Array): Float64Array {
  let squares = 0;
  for (const value of vector) squares += value * value;
  if (squares > 0) for (let i = 0; i < vector.length; i += 1) vector[i] = (vector[i] ?? 0) / Math.sqrt(squares);
  return vector;
}

const DIGITS = 10_000;
/** Numbers from -1 to 1 as text: looked up, since making it took as long as the embedding itself. */
const texts = Array.from({ length: 2 * DIGITS + 1 }, (_, i) => String((i - DIGITS) / DIGITS));

/** As Postgres reads it. Four digits are more than a half-precision number holds. */
export function literalOf(vector: Float64Array): string {
  const numbers = Array.from(vector, (value) => texts[Math.round(value * DIGITS) + DIGITS] ?? '0');
  return `[${numbers.join(',')}]`;
}
