import { readFileSync } from 'node:fs';
import { MUTANTS as FILE } from '../collectors/file/proof/mutants.js';
import { EXIT_MUTANTS } from './exit.js';
import { KERNEL_MUTANTS } from './kernel.js';
import { SERVER_MUTANTS } from './server.js';
import { SERVING_MUTANTS } from './serving.js';

const ROOT = `${__dirname}/../..`;

// The mutants themselves run by their own commands, for hours; one whose code has changed would be found only there.
test('the code that each mutant replaces is in its file, once', () => {
  const all = [
    ...[...EXIT_MUTANTS, ...KERNEL_MUTANTS, ...SERVER_MUTANTS, ...SERVING_MUTANTS],
    ...FILE.map(({ name, file, from }) => ({ name, file: `collectors/${file}`, from })),
  ];
  const stale = all.filter(({ file, from }) => readFileSync(`${ROOT}/${file}`, 'utf8').split(from).length !== 2);
  expect(stale.map(({ name }) => name)).toEqual([]);
});
