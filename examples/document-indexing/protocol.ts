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
  limits: { uploadBytes: number; files: number };
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
  chunks: { read: number; embedded: number; stored: number; total?: number };
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
  /** Job ids with their number of chunks in it. */
  parts: { job: string; count: number }[];
}

/** GET /api/events?user=NAME: the names of the SSE events and their data (JSON). */
export interface Events {
  /** On connect: all jobs of that user, newest first. */
  jobs: Job[];
  /** One job of that user changed; at most about ten a second for each job. */
  job: Job;
  /** Batches of everybody since the last message, oldest first. */
  batch: Batch[];
  database: { available: boolean; message?: string };
}

/** GET /api/search?q=...&limit=...: NDJSON, one hit a line, best first. All plain text. */
export interface Hit {
  path: string;
  heading: string;
  excerpt: string;
  /** Higher is better. */
  score: number;
  job: string;
}
