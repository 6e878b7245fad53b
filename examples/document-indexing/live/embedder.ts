import type { PlainOptions } from 'batch-please';
import type { ProgressWay } from '../protocol.js';

/** What is submitted to the serving: no more than has to cross to a thread or a network. */
export interface Chunk {
  job: string;
  text: string;
}

export interface Embedded {
  /** As Postgres reads it: `[0.1,0.2]`. */
  vector: string;
  tokens: number;
  /** When it was made, in milliseconds since 1970, by the same clock in all threads. */
  at: number;
}

export interface Told {
  way: ProgressWay;
}

/** All of a serving but who shares it. */
export type EmbeddingOptions = PlainOptions<Chunk, Embedded, unknown, 'progress', Told> & { batchSize: number };

/** The share of documents that hold a word makes it rare or common: the weight of each word of a query. */
export type WordWeights = (words: readonly string[]) => Promise<ReadonlyMap<string, number>>;

/** Makes vectors of texts, near each other if the texts are. A model goes here. */
export interface Embedder {
  /** Vectors are compared only with those of the same name. */
  readonly name: string;
  /** 0 while it is not known. */
  readonly dimensions: number;
  /** US dollars. */
  readonly costPerMillionTokens: number;
  /** How a serving executes a batch; `alone`, if nobody shares it. */
  serving(way: ProgressWay, alone: boolean): EmbeddingOptions;
  /** The vector of a query, as Postgres reads it. */
  embedQuery(query: string, weights: WordWeights): Promise<string>;
}

/** As APIs count them, roughly: four characters of English. */
export function tokensOf(text: string): number {
  return Math.ceil(text.length / 4);
}

export function now(): number {
  return performance.timeOrigin + performance.now();
}
