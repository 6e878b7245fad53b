import { cargoQueue } from 'async';
import { SerialBackend, think } from '../../lib/think.js';

export async function run({ callers, duration }, meter) {
  const backend = new SerialBackend();
  const queue = cargoQueue(
    async (tasks) => {
      const results = await backend.execute(tasks.map(({ value }) => value));
      for (let i = 0; i < tasks.length; i++) tasks[i].result = results[i];
    },
    1,
    callers,
  );
  const call = async (value) => {
    const task = { value, result: 0 };
    await queue.pushAsync(task);
    return task.result;
  };
  return think({ callers, duration }, call, backend, meter);
}
