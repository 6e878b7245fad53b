import { fileURLToPath } from 'node:url';
import { pipe } from './run.js';

const cli = fileURLToPath(new URL('../../../dist/esm/cli/main.js', import.meta.url));

export const run = (params, meter) =>
  pipe(params, meter, (sink) => {
    const spool = params.spool ? '--spool "$(mktemp -d)"' : '';
    return `${process.execPath} ${cli} pipe --quiet --size ${params.batchSize} ${spool} -- sh -c '${sink}'`;
  });
