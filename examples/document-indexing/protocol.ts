/** What the page and the server say to each other. Types only. */

export type JobState = 'waiting' | 'reading' | 'running' | 'paused' | 'done' | 'cancelled' | 'failed';

export type ProgressWay = 'summary' | 'items' | 'isolated';

/** GET /api/info */
export interface Info {
  progress: ProgressWay;
  /** Whose the job is that the server began by itself (`--index`); the page opens as this user. */
  user: string;
  embedding: {
    name: string;
    dimensions: number;
    /** US dollars. For the built-in embedding: what a hosted model of usual price would have cost. */
    costPerMillionTokens: number;
  };
  database: { kind: 'embedded' | 'server'; available: boolean };
  /** The folders of this machine that a job of kind 'directory' may name, or lie below. */
  roots: string[];
  limits: {
    /** All files of an upload together. */
    uploadBytes: number;
    /** One document; a larger one is left out of its job. */
    documentBytes: number;
    files: number;
  };
  /** Milliseconds that one call to a hosted model is assumed to take; where calls are `measured`, `Totals` has them. */
  call: { milliseconds: number; measured: boolean };
}

/** POST /api/jobs as application/json. Dropped files: multipart/form-data with field `user`, then files. */
export interface JobRequest {
  user: string;
  source: { kind: 'directory'; path: string } | { kind: 'text'; name: string; text: string };
}

/** The body of every answer with a status of 400 and above. */
export interface Refusal {
  /** One clear sentence. */
  error: string;
}

export interface Job {
  id: string;
  user: string;
  name: string;
  state: JobState;
  /** Why it is paused or failed, one sentence. */
  message?: string;
  files: { done: number; failed: number; total?: number };
  /** `total` is known once reading ended. */
  chunks: {
    read: number;
    embedded: number;
    stored: number;
    /** Given up, by the embedding or by the database; `problems` says why. */
    refused: number;
    total?: number;
  };
  /** Shared batches that carried at least one chunk of this job. */
  batches: number;
  /** 0..1: size over capacity, mean over those batches. */
  meanFill: number;
  chunksPerSecond: number;
  /** Milliseconds of a chunk from its submission to its embedding. */
  latency: { p50: number; p95: number; p99: number };
  tokens: number;
  /** US dollars. */
  cost: number;
  /** 0..1: how much of the batches it rode in belonged to other jobs. */
  coalescing: { strangersShare: number };
  /** Milliseconds since 1970. */
  startedAt: number;
  endedAt?: number;
  /** Capped at 20. */
  problems: { path: string; message: string }[];
}

/** One batch of the serving, as it ended. */
export interface Batch {
  id: number;
  /** Milliseconds since 1970. */
  at: number;
  /** What triggered it: 'size', 'weight', 'age', ... */
  reason: string;
  size: number;
  capacity: number;
  milliseconds: number;
  parts: Part[];
}

/** The chunks of one job in a batch. */
export interface Part {
  job: string;
  user: string;
  /** The user's, the same in every page: 0 to 11, or -1 when all twelve are taken. */
  colour: number;
  count: number;
}

/** Sums over all batches, of earlier processes too. */
export interface Totals {
  /** Chunks that were embedded: calls, had each been one. */
  requests: number;
  batches: number;
  users: number;
  /** The execution of these batches. */
  milliseconds: number;
  /** Rows that went to Postgres, and the statements that took them there. */
  rows: number;
  inserts: number;
}

/** What is new about batches, oldest first. */
export interface BatchNews {
  totals: Totals;
  batches: Batch[];
}

export interface Simulation {
  running: boolean;
  users: { name: string; colour: number }[];
}

/** GET /api/events?user=NAME&user=NAME: the names of the SSE events and their data (JSON). */
export interface Events {
  /** On connect: all jobs of these users, newest first. */
  jobs: Job[];
  /** One job of these users changed; at most about ten a second for each job. */
  job: Job;
  /** On connect: the newest batches of all users. */
  history: BatchNews;
  /** Batches of all users since the last message. */
  batch: BatchNews;
  simulation: Simulation;
  database: { available: boolean; message?: string };
}

/**
 * GET /api/search?q=...&limit=...: NDJSON, one hit a line, best first. All plain text. The header
 * `search-corrected` holds the query that was searched for instead of a misspelt one (percent-encoded), and
 * `search-words-only` why the embedding had no part in it.
 */
export interface Hit {
  path: string;
  /** Names the document for GET /api/document. */
  document: string;
  /** The place of the section in its document. */
  position: number;
  heading: string;
  excerpt: string;
  /** Higher is better. */
  score: number;
  job: string;
}

/** GET /api/document?path=... */
export interface DocumentText {
  path: string;
  /** Markdown. */
  sections: { position: number; heading: string; content: string }[];
}

/** GET /api/code/NAME: a source file of this program, and which of its lines are meant, counted from 1. */
export interface Code {
  file: string;
  text: string;
  from: number;
  to: number;
}
