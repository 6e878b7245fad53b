import { acknowledgedCases } from './cases/acknowledged.js';
import { addCases } from './cases/add.js';
import { fileCases } from './cases/file.js';
import { machineCases } from './cases/machines.js';
import { memoryCases } from './cases/memory.js';
import { pipeCases } from './cases/pipe.js';
import { servingCases } from './cases/serving.js';
import { serverCases } from './cases/server.js';
import { troubleCases } from './cases/trouble.js';
import type { Case } from './contract.js';

export const CASES: readonly Case[] = [
  ...addCases,
  ...acknowledgedCases,
  ...servingCases,
  ...fileCases,
  ...memoryCases,
  ...serverCases,
  ...troubleCases,
  ...pipeCases,
  ...machineCases,
];
