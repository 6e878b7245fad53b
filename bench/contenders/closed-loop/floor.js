import { SerialBackend, think } from '../../lib/think.js';

/** While a batch runs, the next one forms; it goes when the backend is free. */
export async function run({ callers, duration }, meter) {
  const backend = new SerialBackend();
  let values = [];
  let resolves = [];
  let busy = false;
  async function drain() {
    busy = true;
    while (values.length > 0) {
      const settle = resolves;
      const batch = values;
      values = [];
      resolves = [];
      const results = await backend.execute(batch);
      for (let i = 0; i < results.length; i++) settle[i](results[i]);
    }
    busy = false;
  }
  const dispatch = (value) =>
    new Promise((resolve) => {
      values.push(value);
      resolves.push(resolve);
      if (!busy) {
        busy = true;
        setImmediate(drain);
      }
    });
  return think({ callers, duration }, dispatch, backend, meter);
}
