import { lateness } from '../../lib/lateness.js';

export const run = (params, meter) =>
  lateness(
    params,
    (flushed) => {
      return (at) => setTimeout(() => flushed(at), params.age);
    },
    meter,
  );
