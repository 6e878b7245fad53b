const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const percentage = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 0 });
const dollars = new Intl.NumberFormat('en', {
  style: 'currency',
  currency: 'USD',
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});
const smallDollars = new Intl.NumberFormat('en', {
  style: 'currency',
  currency: 'USD',
  maximumSignificantDigits: 2,
});

/** @param {number} value */
export function count(value) {
  return whole.format(value);
}

/**
 * @param {number} value
 * @param {string} one
 * @param {string} [many]
 */
export function counted(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** @param {number} value 0..1 */
export function percent(value) {
  return percentage.format(value);
}

/** @param {number} value above 0 */
export function rate(value) {
  return value < 10 ? value.toFixed(1) : count(value);
}

/** @param {number} value US dollars */
export function cost(value) {
  if (value > 0 && value < 0.0001) return 'less than $0.0001';
  // Indexing is cheap: cents would show nothing for most jobs.
  return value > 0 && value < 0.1 ? smallDollars.format(value) : dollars.format(value);
}

/** @param {number} value milliseconds */
export function milliseconds(value) {
  return value < 10 ? value.toFixed(1) : count(value);
}

/** @param {number} value milliseconds */
export function duration(value) {
  const seconds = value / 1_000;
  if (seconds < 0.1) return `${count(value)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${count(seconds)} s`;
  if (seconds < 5_400) return `${count(seconds / 60)} min`;
  return `${(seconds / 3_600).toFixed(1)} h`;
}

/** @param {number} value bytes */
export function bytes(value) {
  return value < 1_048_576 ? `${count(value / 1_024)} KiB` : `${count(value / 1_048_576)} MiB`;
}

const clock = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** @param {number} at milliseconds since 1970 */
export function timeOfDay(at) {
  return clock.format(at);
}
