/** What the sink, the callers and `encode` of a life throw, in contrast to errors of ours. */
export class Refusal extends Error {}
