// What a user of worker partitions writes.
export function init({ partition }) {
  return { partition, batches: 0 };
}

export async function handleBatch(values, { state, hooks, signal }) {
  state.batches++;
  if (values.includes('exit')) process.exit(3);
  if (values.includes('throw')) throw Object.assign(new RangeError('bad'), { code: 'E_BAD', field: { a: 1 } });
  if (values.includes('spin')) for (;;);
  if (values.includes('function')) return values.map(() => () => 1);
  if (values.includes('thrown function')) throw () => 1;
  if (values.includes('wait')) {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    throw signal.reason;
  }
  hooks.progress?.each(values.map((value) => `${value}?`));
  hooks.progress?.all('all');
  return values.map((value) => {
    if (value === 'slot') return Object.assign(new TypeError('slot'), { code: 'E_SLOT' });
    return value === 'who' ? { ...state } : `${value}!`;
  });
}
