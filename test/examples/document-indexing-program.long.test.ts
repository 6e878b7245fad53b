import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asUsers, indexOnce, type Run } from '../support/index-once.js';

describe('the program without a server', () => {
  let directory: string;
  let documents: string;
  let data: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'document-indexing-'));
    documents = join(directory, 'documents');
    data = join(directory, 'data');
    await mkdir(join(documents, 'deeper'), { recursive: true });
    await writeFile(
      join(documents, 'zoo.md'),
      '# Zoo\nMany animals.\n\n## Night\nThe quagga sleeps behind the barn.\n',
    );
    await writeFile(join(documents, 'deeper', 'old.md'), 'one\n\n# Two\ntwo\n\n# Three\nthree \u001b[31mred\n');
    await writeFile(join(documents, 'latin.md'), Buffer.from('# Caf\xe9\ntext', 'latin1'));
    await writeFile(join(documents, 'other.txt'), '# Not Markdown\ntext');
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  function index(...args: string[]): Promise<Run> {
    return indexOnce([documents, '--data', data, ...args]);
  }

  it('stores every section, says that the counts agree, and finds a sentence', async () => {
    // No batch is sent for its age, however slow the machine is.
    const batches = ['--batch-size', '2', '--batch-age', '600000'];
    const args = [documents, '--data', data, '--query', 'sleeping quagga', ...batches];
    const { code, output, errors } = await indexOnce(args, undefined, asUsers);
    expect(errors).toBe('');
    expect(output).toMatch(/^files +3 found, 1 unreadable\n.*latin\.md: not UTF-8$/m);
    expect(output).toMatch(/^sections +5 added, 5 delivered$/m);
    expect(output).toMatch(/^rows +5 new, 0 already there, 0 out of date/m);
    expect(output).toMatch(/^batches +3 by trigger: size 2, demand 1$/m);
    expect(output).toMatch(/^table +5 rows, 5 of this run's documents$/m);
    expect(output).toMatch(/^counts +agree$/m);
    expect(output).toMatch(/^1\. .*zoo\.md › Night +\(0\.\d\d\)\n +«quagga» «sleeps» behind the barn$/m);
    expect(code).toBe(0);
  }, 240_000);

  it('stores nothing twice', async () => {
    const { code, output } = await index();
    expect(output).toMatch(/^rows +0 new, 5 already there, 0 out of date/m);
    expect(output).toMatch(/^table +5 rows/m);
    expect(code).toBe(0);
  }, 240_000);

  it('replaces what has changed, forgets removed documents, and prints no escape sequence of a document', async () => {
    await writeFile(join(documents, 'zoo.md'), '# Zoo\nMany animals.\n\n## Day\nThe okapi is awake.\n');
    await writeFile(join(documents, 'deeper', 'old.md'), 'one\n');
    await writeFile(join(documents, 'new.md'), '# Okapi \u001b[31mnews\nThe okapi \u001b[2J has moved.\n');
    const changed = await index('--query', 'okapi');
    expect(changed.output).toMatch(/^rows +2 new, 2 already there, 3 out of date and removed$/m);
    expect(changed.output).toMatch(/^counts +agree$/m);
    expect(changed.output).toMatch(/new\.md › Okapi \[31mnews/);
    expect(changed.output).not.toContain('\u001b');
    await rm(join(documents, 'new.md'));
    const gone = await index('--query', 'quagga');
    expect(gone.output).toMatch(/^rows +0 new, 3 already there, 1 out of date and removed$/m);
    expect(gone.output).toContain('Nothing found for "quagga".');
  }, 240_000);

  it('does not open an embedded database that another process has open', async () => {
    await writeFile(join(data, `lock.${process.pid}`), '');
    const { code, errors } = await index();
    expect(errors).toContain(`is in use by process ${process.pid}`);
    expect(code).toBe(1);
    await rm(join(data, `lock.${process.pid}`));
  }, 240_000);
});
