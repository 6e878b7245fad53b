import { pipe } from './run.js';

export const run = (params, meter) =>
  pipe(params, meter, (sink) => `xargs -n ${params.batchSize} sh -c 'printf "%s\\n" "$@" | ${sink}' _`);
