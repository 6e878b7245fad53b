import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Status } from '../../examples/several-machines/page.js';
import { launchBrowser, noBrowser } from '../support/browser.js';
import { bundledIndexing } from '../support/bundled-indexing.js';
import { root, run } from '../support/project.js';
import { describeWithServer } from './support/server.js';
import { until } from './support/time.js';

/** So many that the last death comes in the middle, also where this process stands still for a while. */
const documents = 50;
const sections = 100;

/** Documents of distinct sections, each of which is one chunk. */
function writeDocuments(folder: string): void {
  mkdirSync(folder);
  for (let d = 0; d < documents; d++) {
    const text = Array.from({ length: sections }, (_, s) => `# Part ${d}-${s}\n\nText ${s} of document ${d}. ${'word '.repeat(40)}`); // prettier-ignore
    writeFileSync(join(folder, `${d}.md`), text.join('\n\n'));
  }
}

// The program as a user runs it, and real deaths: real time.
describeWithServer('npm start -- --machines 3', () => {
  test.each([
    [['--machines', '0'], "option '--machines': expected a whole number from 1 to 100, given '0'"],
    [['--machines', '2', '--port', '99999'], "option '--port': expected a whole number from 0 to 65535, given '99999'"],
    [['--machines', '2', 'nowhere'], "there is no directory 'nowhere'"],
    [['--machines', '2', '--prot', '80'], "Unknown option '--prot'"],
  ])('%j started no machine and waited for ever: it ends, with one line', async (args, problem) => {
    const { code, stderr } = await run(process.execPath, [await bundledIndexing(), ...args], root);
    expect(stderr).toContain(`several-machines: ${problem}`);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(code).toBe(2);
  });

  test('kill -9 of a machine, the store and the server in the middle: every chunk is stored exactly once', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'bp-machines-'));
    writeDocuments(join(folder, 'docs'));
    const args = ['--machines', '3', '--stay', '--data', join(folder, 'data'), join(folder, 'docs')];
    const program = spawn(process.execPath, ['--import', 'tsx', 'examples/document-indexing/main.ts', ...args]);
    let said = '';
    program.stdout.on('data', (data: Buffer) => (said += data.toString()));
    program.stderr.on('data', (data: Buffer) => (said += data.toString()));
    const exited = new Promise<number | null>((resolve) => program.once('exit', resolve));
    try {
      await until('the page is there', () => said.includes('page: '), 60_000);
      const page = /page: (\S+)/.exec(said)?.[1] ?? '';
      const look = async (): Promise<Status> => (await fetch(`${page}status`)).json() as Promise<Status>;
      const stored = (least: number) => async (): Promise<boolean> => (await look()).stored >= least;
      const kill = async (name: string): Promise<void> => {
        const { machines } = await look();
        const pid = machines.find((machine) => machine.name === name)?.pid;
        if (pid === undefined) throw new Error(`${name} does not run`);
        process.kill(pid, 'SIGKILL');
      };
      await until('something is stored', stored(1), 60_000);
      await kill('machine 2');
      await until('more is stored', stored(600), 60_000);
      await kill('server');
      await until('more is stored', stored(1000), 60_000);
      await kill('store');
      await until('everything is stored', () => said.includes('all '), 240_000);
      const { machines, total, stored: rows } = await look();
      // The key of a row is the id of its chunk: it cannot be stored twice.
      expect({ total, rows }).toEqual({ total: documents * sections, rows: documents * sections });
      const names = ['server', 'machine 1', 'machine 2', 'machine 3', 'store', 'reader'];
      expect(machines.map(({ name }) => name)).toEqual(names);
      expect(machines.map(({ deaths }) => deaths)).toEqual([1, 0, 1, 0, 1, 0]);
      if (noBrowser === undefined) expect(await shownBy(page)).toEqual(names);
      else console.warn(`SKIPPED: a look at the page: ${noBrowser}`);
      program.kill('SIGINT');
      expect(await exited).toBe(0);
    } catch (error) {
      throw new Error(`the program said:\n${said}`, { cause: error });
    } finally {
      program.kill('SIGTERM');
      rmSync(folder, { recursive: true, force: true });
    }
  }, 600_000);
});

/** The names of the machines that the page shows. */
async function shownBy(url: string): Promise<(string | null)[]> {
  const browser = await launchBrowser();
  try {
    const page = await browser.newPage();
    await page.goto(url);
    await page.waitForSelector('tbody tr');
    return await page.locator('tbody tr td:first-child').allTextContents();
  } finally {
    await browser.close();
  }
}
