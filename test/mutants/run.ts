import { KERNEL_MUTANTS } from './kernel.js';
import { runMutants } from './run-mutants.js';

// npm run test:mutants [-- text]: those whose name contains it.
const [wanted = ''] = process.argv.slice(2);
const sound = await runMutants(KERNEL_MUTANTS.filter(({ name }) => name.includes(wanted)));
process.exitCode = sound ? 0 : 1;
