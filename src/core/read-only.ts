/** Cannot be written, and prints as the values of the moment; Node would print each as `[Getter]`. */
export function readOnly<View extends object>(view: View): View {
  const print = { value: () => ({ ...view }) };
  return Object.freeze(Object.defineProperty(view, Symbol.for('nodejs.util.inspect.custom'), print));
}
