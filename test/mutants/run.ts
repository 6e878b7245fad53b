import { EXIT_MUTANTS } from './exit.js';
import { KERNEL_MUTANTS } from './kernel.js';
import { runMutants } from './run-mutants.js';
import { SERVER_MUTANTS } from './server.js';
import { SERVING_MUTANTS } from './serving.js';

// npm run test:mutants [-- text], npm run test:mutants:server [-- text]: those whose name contains it.
const [list, wanted = ''] = process.argv.slice(2);
const mutants = { exit: EXIT_MUTANTS, server: SERVER_MUTANTS, serving: SERVING_MUTANTS }[list ?? ''] ?? KERNEL_MUTANTS;
const chosen = mutants.filter(({ name }) => name.includes(wanted));
// Without a name of a test jest would run them all.
if (chosen.length === 0) console.log(`no mutant has ${wanted} in its name`);
process.exitCode = chosen.length > 0 && (await runMutants(chosen)) ? 0 : 1;
