import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileBatcher } from '../../../../collectors/file-batcher.js';
import { fileName } from '../../../../collectors/file/format.js';
import { bundledProgram } from '../../../support/bundled-program.js';
import { mustRun, root } from '../../../support/project.js';
import { noOtherOwners, noPipes, testUnless } from '../../../support/skips.js';
import type { FuzzOptions } from './fuzz.js';
import { lineOf } from './damage.js';

/** The real file system: pipes, links and folders cannot be simulated with profit. */
export function testFuzz(from: number, directories: number): void {
  const missingPipes = noPipes();
  let folder: string;
  let program: string;

  beforeAll(async () => {
    folder = fs.mkdtempSync(join(tmpdir(), 'bp-fuzz-'));
    program = await bundledProgram('test/collectors/file/proof/run-fuzz.ts');
  });

  afterAll(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  async function run(from: number, directories: number, pipes: boolean): Promise<string> {
    const options: FuzzOptions = { root: fs.mkdtempSync(join(folder, 'fuzz-')), from, directories, pipes };
    return mustRun(process.execPath, [program, JSON.stringify(options)], root, 600_000);
  }

  test(`G9: open() succeeds on ${directories} directories full of anything, and delivers what is good`, async () => {
    expect(await run(from, directories, missingPipes === undefined)).toBe('sound\n');
  }, 600_000);

  // Said apart, since without pipes the directories above have none.
  testUnless(missingPipes)('… pipes among them, which are not read', async () => {
    expect(await run(from, 20, true)).toBe('sound\n');
  });

  testUnless(noOtherOwners())('a file of another user stays where it is', async () => {
    const directory = join(folder, 'others');
    fs.mkdirSync(directory, { mode: 0o700 });
    const path = join(directory, fileName({ sequence: 1, nonce: '0'.repeat(16), attempts: 0, integrity: 'line' }));
    fs.writeFileSync(path, lineOf('1', 'line'), { mode: 0o644 });
    fs.chownSync(path, 12345, 12345);
    const delivered: string[] = [];
    const batcher = new FileBatcher({ batchDirectory: directory, batchFlush: ({ id }) => void delivered.push(id) });
    batcher.on('unreadable', () => undefined);
    expect((await batcher.open()).unreadableFiles).toBe(1);
    await batcher.close();
    expect(delivered).toEqual([]);
    expect(fs.existsSync(path)).toBe(true);
  });
}
