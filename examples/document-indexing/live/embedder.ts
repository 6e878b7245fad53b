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
  /** Why there is none: this text was refused, and the other texts of its batch were not. */
  refused?: string;
  tokens: number;
  /** When it was made, in milliseconds since 1970, by the same clock in all threads. */
  at: number;
}

export interface Told {
  way: ProgressWay;
}

/** All of a serving but who shares it. */
export type EmbeddingOptions = PlainOptions<Chunk, Embedded, unknown, 'progress', Told> & { batchSize: number };

/** Called while an API asks to wait: the reason, and for how many milliseconds. */
export type OnWait = (reason: string, wait: number) => void;

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
  /** Milliseconds that one call to a hosted model is assumed to take; `undefined` where the calls are measured. */
  readonly assumedCall: number | undefined;
  /** A cosine from which on a text without any of the query's words is a hit; 1 where the vectors know no meaning. */
  readonly nearEnough: number;
  /** Vectors that are stored already have so many dimensions: one of another length is an error. */
  expect(dimensions: number): void;
  /** How a serving executes a batch; `alone`, if no other job shares it. */
  serving(way: ProgressWay, alone: boolean, onWait: OnWait): EmbeddingOptions;
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
