import { pipe } from './run.js';

export const run = (params, meter) =>
  pipe(params, meter, (sink) => `parallel --will-cite -j 1 --pipe -N ${params.batchSize} '${sink}'`);
