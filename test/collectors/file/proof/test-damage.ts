import type { Integrity } from '../../../../collectors/file-batcher.js';
import { bundledProgram } from '../../../support/bundled-program.js';
import { mustRun, root } from '../../../support/project.js';
import { DAMAGE_CHECKS, type DamageOptions } from './damage-checks.js';

const MODES: Integrity[] = ['line', 'suffix', 'none'];

/** The checks of damage-checks.ts, each in a process of its own. */
export function testDamage(step: number, files: number): void {
  let program: string;

  beforeAll(async () => {
    program = await bundledProgram('test/collectors/file/proof/run-damage.ts');
  });

  describe.each(MODES)(`a damaged file, integrity %s, every bit of ${step}, ${files} files`, (integrity) => {
    test.each(Object.keys(DAMAGE_CHECKS))(
      '%s',
      async (name) => {
        const options: DamageOptions = { integrity, step, files };
        const args = [program, name, JSON.stringify(options)];
        expect(await mustRun(process.execPath, args, root, 600_000)).toBe('sound\n');
      },
      600_000,
    );
  });
}
