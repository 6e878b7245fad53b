import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { root } from './project.js';

/**
 * An embedded database without a table at `folder`, unless there is one. Postgres computes for several seconds to make
 * one, so that the tests share a copy that the first of them makes.
 */
export async function newDatabase(folder: string): Promise<void> {
  if (existsSync(folder)) return;
  await mkdir(dirname(folder), { recursive: true });
  await cp(await (template ??= open()), folder, { recursive: true });
}

let template: Promise<string> | undefined;

async function open(): Promise<string> {
  const manifest = await readFile(join(root, 'node_modules/@electric-sql/pglite/package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const path = join(tmpdir(), `batch-please-postgres-${version}-${userInfo().username}`);
  if (existsSync(path)) return path;
  const own = await mkdtemp(`${path}-`);
  const script = resolve('test/support/ask-database.mjs');
  await promisify(execFile)(process.execPath, [script, join(own, 'postgres'), 'SELECT 1', '[]']);
  // Whole or not at all; another process may have been quicker.
  await rename(join(own, 'postgres'), path).catch((error: unknown) => {
    if (!existsSync(path)) throw error;
  });
  await rm(own, { recursive: true, force: true });
  return path;
}
