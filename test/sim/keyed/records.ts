/** `out`: its caller left while it waited for room. `left`: close reported it. */
export type Fate = 'pending' | 'delivered' | 'refused' | 'dropped' | 'returned' | 'out' | 'left';

export interface Item {
  readonly key: number;
  readonly n: number;
  fate: Fate;
  /** When its fate was decided. */
  at: number;
  /** Adds whose calls were under way when it was added: it has no order among them. */
  readonly within: readonly Item[];
  /** The add hook was called with it, and has let it in. */
  called: boolean;
  added: boolean;
  /** The sink has seen it. */
  seen: boolean;
  /** Its caller was waiting for room when the call returned. */
  waits: boolean;
  /** Its caller has left: it may be in its batch, or not. */
  abandoned: boolean;
}

export interface Watched {
  readonly what: string;
  readonly item: Item | undefined;
  readonly leave: AbortController | undefined;
  state: 'pending' | 'resolved' | 'rejected';
}

export interface KeyedOutcome {
  violations: string[];
  items: number;
  attempts: number;
  evicted: number;
  /** Callers that waited for room, and adds that a hook answered later. */
  waited: number;
  late: number;
  /** Collectors that a factory made. */
  made: number;
}
