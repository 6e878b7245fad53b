const PRINT = Symbol.for('nodejs.util.inspect.custom');

/** Prints as the values of the moment; Node would print each as `[Getter]`. */
function values(this: object): object {
  return { ...this };
}

/** Cannot be written, and prints as the values of the moment. */
export function readOnly<View extends object>(view: View): View {
  return Object.freeze(Object.defineProperty(view, PRINT, { value: values }));
}

const SOURCE = Symbol('source');

/**
 * Makes live views that read `Source` at each look. All of one kind share their getters: with getters of its own each
 * view would take some kilobytes, and a `KeyedBatcher` has one for each key.
 */
export function liveView<Source, View extends object>(read: {
  readonly [Name in keyof View]: (source: Source) => View[Name];
}): (source: Source) => View {
  const properties: PropertyDescriptorMap = { [PRINT]: { value: values } };
  for (const [name, of] of Object.entries<(source: Source) => unknown>(read)) {
    properties[name] = {
      get(this: { [SOURCE]: Source }) {
        return of(this[SOURCE]);
      },
      enumerable: true,
    };
  }
  return (source) => Object.freeze(Object.defineProperties({}, { [SOURCE]: { value: source }, ...properties })) as View;
}
