/** Targets are recognized by their public methods, so that another copy of the package, or a class like these, works. */
interface Emitter {
  /** `never`, so that a target with events of any types fits; `listen` calls it. */
  on(event: never, listener: never): () => void;
}

/** Returns a function that removes the listener. */
export function listen(target: Emitter, event: string, listener: (payload: never) => unknown): () => void {
  return target.on(event as never, listener as never);
}

/** A `BatchPlease`, or a `KeyedBatcher`. */
export interface CollectorTarget extends Emitter {
  /** See `BatchPlease`. */
  addItem(item: never): boolean;
  /** See `BatchPlease`. */
  deliverItem(item: never): Promise<void>;
  /** The counts that the metrics are read from. */
  readonly state: {
    readonly pending: number;
    readonly waiting: number;
    readonly counts: {
      readonly totalItems: number;
      readonly delivered: number;
      readonly refused: number;
      readonly dropped: number;
      readonly returned?: number;
    };
    readonly batches?: readonly { readonly id: string }[];
  };
}

/** A `BatchServing`. */
export interface ServingTarget extends Emitter {
  /** See `BatchServing`. */
  dispatch(value: never): Promise<unknown>;
  /** The counts that the metrics are read from. */
  readonly state: {
    readonly pending: number;
    readonly running: number;
    readonly counts: {
      readonly values: number;
      readonly delivered: number;
      readonly failed: number;
      readonly aborted: number;
    };
  };
}

/** A `BatchServer`. */
export interface ServerTarget extends Emitter {
  /** The trace and the statistics that the metrics are read from. */
  readonly sys: {
    trace(listener: never): () => void;
    statistics(): {
      readonly name: string;
      readonly pending: number;
      readonly handled: number;
      readonly failed: number;
      readonly dropped: number;
      readonly refused: number;
    };
  };
}

/** An object that `instrument` accepts. */
export type Target = CollectorTarget | ServingTarget | ServerTarget;

const has = (target: object, name: string): boolean => typeof Reflect.get(target, name) === 'function';

export function isCollector(target: object): target is CollectorTarget {
  return has(target, 'addItem') && has(target, 'deliverItem') && has(target, 'on');
}

export function isServing(target: object): target is ServingTarget {
  return has(target, 'dispatch') && has(target, 'dispatchMany') && has(target, 'on');
}

export function isServer(target: object): target is ServerTarget {
  const sys: unknown = Reflect.get(target, 'sys');
  return typeof sys === 'object' && sys !== null && has(sys, 'trace') && has(sys, 'statistics');
}
