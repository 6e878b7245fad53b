import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const LOCK = /^lock\.(\d+)$/;

/**
 * Keeps a directory for this process; resolves to a function that gives it up. Every process leaves a file named
 * after its own id and then looks for those of others, so of two that start at once at most one goes on, and the file
 * of a process that died blocks no other.
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const own = join(directory, `lock.${process.pid}`);
  await mkdir(directory, { recursive: true });
  await writeFile(own, '');
  const release = (): Promise<void> => rm(own, { force: true });
  for (const name of await readdir(directory)) {
    const pid = Number(LOCK.exec(name)?.[1] ?? process.pid);
    if (pid === process.pid) continue;
    if (isRunning(pid)) {
      await release();
      const remedy = `wait for it, use another --data, or remove ${join(directory, name)} if it is something else`;
      throw new Error(`the embedded database in ${directory} is in use by process ${pid}: ${remedy}`);
    }
    await rm(join(directory, name), { force: true });
  }
  return release;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Any other failure means that it runs and belongs to another user.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
