type Method = (...args: never[]) => unknown;

/** Puts methods of its own before those of an object; returns a function that takes them away again. */
export function patch(target: object, methods: Readonly<Record<string, (original: Method) => Method>>): () => void {
  const undo: (() => void)[] = [];
  let active = true;
  for (const [name, wrap] of Object.entries(methods)) {
    const original: unknown = Reflect.get(target, name);
    if (typeof original !== 'function') continue;
    const before = Object.getOwnPropertyDescriptor(target, name);
    const wrapped = wrap(original as Method);
    // Under another patch it stays in the chain after it was undone, and then does nothing.
    const own = function (this: unknown, ...args: never[]): unknown {
      return (active ? wrapped : (original as Method)).apply(this, args);
    };
    Object.defineProperty(target, name, { value: own, configurable: true, writable: true });
    undo.push(() => {
      // Another patch may have replaced it since.
      if (Reflect.get(target, name) !== own) return;
      if (before === undefined) Reflect.deleteProperty(target, name);
      else Object.defineProperty(target, name, before);
    });
  }
  return () => {
    active = false;
    for (const one of undo) one();
  };
}
