import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A requirement of a test: `undefined` if the machine meets it, else what is missing. */
export type Missing = string | undefined;

/**
 * `test`, or `test.skip` and a line that gives the reason; `.ci/run` lists both at its end.
 */
export function testUnless(...missing: Missing[]): jest.It {
  const reasons = missing.filter((reason) => reason !== undefined);
  if (reasons.length === 0) return test;
  console.warn(`SKIPPED: ${reasons.join('; ')}`);
  return test.skip;
}

export function noPipes(): Missing {
  return works('mkfifo', (folder) => [join(folder, 'pipe')]) ? undefined : 'no mkfifo here';
}

export function noMounts(): Missing {
  const mounted = works('mount', (folder) => ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', folder], 'umount');
  return mounted ? undefined : 'no tmpfs can be mounted here, which takes root';
}

export function noOtherOwners(): Missing {
  return process.geteuid?.() === 0 ? undefined : 'files cannot be given to others here, which takes root';
}

export function noPreload(): Missing {
  if (process.platform !== 'linux') return 'no Linux';
  return spawnSync('cc', ['--version']).status === 0 ? undefined : 'no C compiler here';
}

function works(command: string, argsFor: (folder: string) => string[], undo?: string): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'bp-skips-'));
  try {
    const done = spawnSync(command, argsFor(folder), { stdio: 'ignore' }).status === 0;
    if (done && undo !== undefined) spawnSync(undo, [folder], { stdio: 'ignore' });
    return done;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
