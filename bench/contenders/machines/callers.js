import { closedLoop } from '../../lib/callers.js';

/** Times the callers, and checks every answer. */
export async function callBy(params, meter, call) {
  const { n } = params;
  meter.start();
  const { count } = await closedLoop(params, call);
  meter.stop();
  return count === n ? { count, rate: n / (meter.wall / 1e9) } : { failed: `${n - count} wrong answers` };
}
