import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mustRun, root, run } from '../support/project.js';

export const here = join(root, 'test', 'everywhere');
export const tools = join(here, 'node_modules');

/** Installs the other runtimes, bundlers and compilers, once. */
export async function installTools(): Promise<void> {
  if (!existsSync(join(tools, '.package-lock.json'))) await mustRun('npm', ['ci', '--no-audit', '--no-fund'], here);
}

/** A project with the packed package, as `npm install` would leave it: the path of its folder. */
export async function consumer(...packages: string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'batch-please-everywhere-'));
  await mustRun('npm', ['pack', '--pack-destination', folder], root);
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  if (tarball === undefined) throw new Error('npm pack left no tarball');
  const target = join(folder, 'node_modules', 'batch-please');
  mkdirSync(target, { recursive: true });
  await mustRun('tar', ['-xzf', join(folder, tarball), '-C', target, '--strip-components=1'], folder);
  for (const name of ['mitt', ...packages]) {
    cpSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), { recursive: true });
  }
  return folder;
}

export function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** Why a program of the tools does not run here (its package brings no binary for this machine), or `undefined`. */
export async function whyNot(name: string): Promise<string | undefined> {
  const { code, stderr } = await run(join(tools, '.bin', name), ['--version'], here).catch((error: unknown) => ({
    code: 1,
    stderr: String(error),
  }));
  return code === 0 ? undefined : `${name} does not run here: ${stderr}`;
}
