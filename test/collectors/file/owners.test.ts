import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noOtherOwners, testUnless } from '../../support/skips.js';
import { compile, sceneOf } from './proof/compile.js';
import { play } from './proof/play.js';

/** Who owns a directory, among processes, threads and users: for the operating system to say. Nothing here is timed. */
jest.setTimeout(300_000);

let compiled: string;
let folder: string;
let directory: string;

beforeAll(() => {
  compiled = compile();
  fs.chmodSync(compiled, 0o755);
});

afterAll(() => {
  fs.rmSync(compiled, { recursive: true, force: true });
});

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'bp-owners-'));
  fs.chmodSync(folder, 0o777);
  directory = join(folder, 'spool');
});

afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

interface ClusterWords {
  second: string;
  stored: number;
  lost: number[];
  late: number;
  unowned: number;
}

test('G20: a cluster worker keeps its lock when it disconnects, and acknowledges nothing once it has lost it', async () => {
  const words = await play<ClusterWords>(compiled, { scene: 'cluster', directory });
  const { second, stored, lost, late, unowned } = words;
  expect(second).toMatch(/^LockedError: /);
  expect({ lost, late, unowned }).toEqual({ lost: [], late: 0, unowned: 1 });
  expect(stored).toBeGreaterThan(10);
});

test('G11: a thread owns its directory until it ends, however it ends', async () => {
  const { second, delivered } = await play<{ second: string; delivered: number[] }>(compiled, {
    scene: 'threads',
    directory,
  });
  expect(second).toMatch(/^LockedError: /);
  expect(delivered).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

const USER = 1001;
const OTHER_USER = 1002;

testUnless(noOtherOwners())(
  "G20: a directory that is another user's is a StorageError that names the cause",
  async () => {
    fs.mkdirSync(directory, { mode: 0o700 });
    const { opened } = await play<{ opened: string }>(compiled, { scene: 'open', directory }, { uid: USER });
    expect(opened).toMatch(/^StorageError: .*EACCES/);
  },
);

testUnless(noOtherOwners())(
  'G20: a dead owner that was another user is reported as that, and not as a live one',
  async () => {
    fs.mkdirSync(directory);
    fs.chmodSync(directory, 0o777);
    const owner = spawn(process.execPath, [sceneOf(compiled), JSON.stringify({ scene: 'own', directory })], {
      stdio: ['ignore', 'pipe', 'inherit'],
      uid: USER,
      gid: USER,
    });
    await firstWords(owner);
    const ended = new Promise((resolve) => owner.once('exit', resolve));
    owner.kill('SIGKILL');
    await ended;
    const { opened } = await play<{ opened: string }>(compiled, { scene: 'open', directory }, { uid: OTHER_USER });
    expect(opened).toMatch(/^StorageError: .*another user.*EACCES/);
  },
);

function firstWords({ stdout }: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    stdout?.once('data', () => {
      resolve();
    });
    stdout?.once('close', () => {
      reject(new Error('it ended without a word'));
    });
  });
}
