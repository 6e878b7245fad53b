/** What a measurement yields; which of them a case is judged by is its `value`. */
export interface Sample {
  /** Nanoseconds per item that passed on the clock. */
  readonly wall: number;
  /** Nanoseconds per item of processor time, of all threads. Barely moved by what else the machine does. */
  readonly cpu: number;
  /** What the contender measured itself: a rate, a latency, bytes. */
  readonly [metric: string]: number;
}

export type Role = 'floor' | 'ours' | 'peer';

export interface Contender {
  readonly name: string;
  /** Below `contenders/`. */
  readonly module: string;
  readonly role: Role;
  readonly params?: Params;
  /** What the reader has to know to compare it: what it does not do, what was done to help it. */
  readonly note?: string;
  /** It loses items or changes their order by design: a failed check is then reported, and no failure of the run. */
  readonly unreliable?: string;
}

export type Params = Readonly<Record<string, number | string | boolean>>;

/** A goal: `contender` against `over`, or against a figure. */
export interface Goal {
  readonly contender: string;
  /** The name of another contender, `'best peer'`, or a rate per second that was not measured here. */
  readonly over?: string | { readonly figure: number; readonly source: string };
  /** As a ratio of costs (so that less is better, whatever the unit), as a difference, or as it is. */
  readonly kind: 'ratio' | 'difference' | 'absolute';
  readonly atMost: number;
  /** The goal is not met: what is reached today, which `bench:quick` holds us to. To be lowered, and removed. */
  readonly today?: number;
}

export interface Case {
  readonly id: string;
  /** `npm run bench -- g` runs all cases of the group. */
  readonly group: string;
  readonly title: string;
  /** Of `value`. */
  readonly unit: string;
  readonly value: string;
  readonly moreIsBetter?: boolean;
  readonly params: Params;
  /** Laid over the parameters while warming up, when every item is checked. */
  readonly warmup: Params;
  /** By which `bench:quick` judges it, on a machine that does other things too; `value` by default. */
  readonly quickValue?: string;
  /** Laid over the parameters by `bench:quick`; a case without is left out there. */
  readonly quick?: Params;
  readonly contenders: readonly Contender[];
  readonly goals: readonly Goal[];
  /** What is compared with what, and what cannot be. */
  readonly fairness: string;
  /** Measured elsewhere, and cited. */
  readonly references?: readonly { readonly name: string; readonly figure: number }[];
  readonly rounds?: number;
}

export interface Outcome {
  readonly contender: Contender;
  /** One for each round: the median of what the process measured in it. */
  readonly rounds: readonly Sample[];
  readonly maxRSS: number;
  /** A failed check, or a package that is not there. */
  readonly error?: string;
}
