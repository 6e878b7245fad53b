// Real processes and real time: pipes, signals and exit codes are what is tested.
import { spawn, type ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'esbuild';
import { root } from '../../support/project.js';

jest.setTimeout(240_000);

const folder = mkdtempSync(join(tmpdir(), 'batch-please-pipe-'));
const cli = join(folder, 'dist', 'main.mjs');

beforeAll(async () => {
  await build({
    entryPoints: [join(root, 'cli', 'main.ts')],
    outdir: join(folder, 'dist'),
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    logLevel: 'error',
  });
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

let files = 0;
const fresh = (name: string): string => join(folder, `${name}-${files++}`);

interface Outcome {
  code: number | null;
  stdout: Buffer;
  stderr: string;
}

interface Running {
  child: ChildProcess;
  ended: Promise<Outcome>;
  /** Resolves when that text is in what it has printed, to all of it. */
  printed: (text: string) => Promise<string>;
}

function start(args: readonly string[]): Running {
  const child = spawn(process.execPath, [cli, 'pipe', ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  const stdout: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.on('error', () => undefined); // it may end before it has read everything
  const ended = new Promise<Outcome>((resolve) => {
    child.once('close', (code) => {
      resolve({ code, stdout: Buffer.concat(stdout), stderr });
    });
  });
  const printed = async (text: string): Promise<string> => {
    for (;;) {
      const all = Buffer.concat(stdout).toString('latin1') + stderr;
      if (all.includes(text)) return all;
      await sleep(10);
    }
  };
  return { child, ended, printed };
}

function pipe(input: string | Buffer, ...args: string[]): Promise<Outcome> {
  const { child, ended } = start(args);
  child.stdin?.end(input);
  return ended;
}

/** A command that says its process id, and is at work until `killBoth`. */
const hangs = 'echo pid $$ begun; exec sleep 1000';

/** Kills the program, and its command, which would hold its pipes. */
async function killBoth(child: ChildProcess, printed: Running['printed']): Promise<void> {
  const [, pid] = /pid (\d+) begun/.exec(await printed('begun')) ?? [];
  child.kill('SIGKILL');
  process.kill(Number(pid), 'SIGKILL');
}

const sh = (script: string): string[] => ['--', 'sh', '-c', script];

describe('batches', () => {
  test('5 = 2+2+1, each with its environment', async () => {
    const script = 'echo "$BATCH_SIZE $BATCH_ATTEMPT $BATCH_REASON"; echo "$BATCH_ID" >&2; cat; echo .';
    const { code, stdout, stderr } = await pipe('a\nb\nc\n\ne', '--size', '2', ...sh(script));
    expect(stdout.toString()).toBe('2 1 size\na\nb\n.\n2 1 size\nc\n\n.\n1 1 close\ne.\n');
    const [first, second, third, summary] = stderr.trim().split('\n');
    expect(new Set([first, second, third]).size).toBe(3);
    expect(summary).toMatch(/^batch-please pipe: 5 records delivered in 3 batches, [\d.]+ s$/);
    expect(code).toBe(0);
  });

  test('records that end with zero bytes', async () => {
    const { stdout } = await pipe('a\nb\0c\0', '--null', '--size', '1', ...sh('cat; echo ,'));
    expect(stdout.toString()).toBe('a\nb\0,\nc\0,\n');
  });

  test('by bytes', async () => {
    const { stdout } = await pipe('aa\nbb\ncc\n', '--bytes', '6', ...sh('echo $BATCH_SIZE $BATCH_REASON'));
    expect(stdout.toString()).toBe('2 weight\n1 close\n');
  });

  test('by age, while the input goes on', async () => {
    const { child, ended, printed } = start(['--age', '50', ...sh('cat; echo "<$BATCH_REASON>"')]);
    child.stdin?.write('a\nb\nhalf');
    await printed('<age>');
    child.stdin?.end(' a record\n');
    expect((await ended).stdout.toString()).toBe('a\nb\n<age>\nhalf a record\n<close>\n');
  });

  test('by interval', async () => {
    const { child, ended, printed } = start(['--interval', '100', ...sh('cat; echo "<$BATCH_REASON>"')]);
    child.stdin?.write('a\n');
    await printed('<interval>');
    child.stdin?.end();
    expect((await ended).code).toBe(0);
  });

  test('no input, no batch', async () => {
    const { code, stdout } = await pipe('', ...sh('echo never'));
    expect([code, stdout.length]).toEqual([0, 0]);
  });

  test('binary records come out as they went in', async () => {
    const input = Buffer.from(Array.from({ length: 300_000 }, (_, n) => (n * 7919 + (n >> 8)) & 255));
    const { stdout, code } = await pipe(input, '--size', '100', '--', 'cat');
    expect(stdout.equals(input)).toBe(true);
    expect(code).toBe(0);
  });

  test('lines of 100 MB', async () => {
    const line = Buffer.alloc(100_000_000, 'x');
    line[line.length - 1] = 10;
    const { stdout, code } = await pipe(Buffer.concat([line, line]), '--', 'wc', '-c');
    // Longer than --bytes by default, so each is a batch.
    expect(stdout.toString()).toBe('100000000\n100000000\n');
    expect(code).toBe(0);
  });

  test('with --concurrency commands run at the same time', async () => {
    const here = fresh('meeting');
    // Each waits until both have begun.
    const script = `touch ${here}-$(cat); for i in $(seq 5000); do [ -e ${here}-a ] && [ -e ${here}-b ] && exit 0; sleep 0.02; done; exit 1`;
    const { code } = await pipe('a\nb\n', '--size', '1', '--concurrency', '2', '--attempts', '1', ...sh(script));
    expect(code).toBe(0);
  });
});

describe('failures', () => {
  test('a failed run is tried again, with the same id', async () => {
    const marks = fresh('marks');
    const script = `echo "$BATCH_ID" >> ${marks}; [ $BATCH_ATTEMPT = 3 ] && cat`;
    const { code, stdout, stderr } = await pipe('a\n', ...sh(script));
    expect(stdout.toString()).toBe('a\n');
    expect(new Set(readFileSync(marks, 'utf8').trim().split('\n')).size).toBe(1);
    expect(stderr).toContain('a batch of 1 record failed: exit code 1, attempt 2 of 5');
    expect(stderr).toContain('2 failed runs');
    expect(code).toBe(0);
  });

  test('what is given up goes to --dead, everything else goes on, and it ends with 1', async () => {
    const dead = fresh('dead');
    writeFileSync(dead, 'before\n');
    const script = 'grep -q b && exit 3; exit 0';
    const { code, stderr } = await pipe('a\nb\nc\nb', '--size', '1', '--attempts', '2', '--dead', dead, ...sh(script));
    expect(readFileSync(dead, 'utf8')).toBe('before\nb\nb\n');
    expect(stderr).toContain('2 records delivered in 2 batches, 4 failed runs, 2 given up');
    expect(code).toBe(1);
  });

  test('a command that does not exist ends with 2 at once, before anything is read', async () => {
    for (const command of ['no-such-command', './no/such/file', '/']) {
      const { child, ended } = start(['--', command]);
      const { code, stderr } = await ended; // its input stays open
      child.stdin?.destroy();
      expect(code).toBe(2);
      expect(stderr).toContain(command);
    }
  });

  test('a command that closes its input early has succeeded if its code is 0', async () => {
    const input = 'x'.repeat(1_000_000) + '\n';
    expect((await pipe(input, ...sh('exec <&-; exit 0'))).code).toBe(0);
    expect((await pipe(input, '--attempts', '1', ...sh('exec <&-; exit 1'))).code).toBe(1);
  });

  test('a command that hangs is ended after --timeout, with what it has started', async () => {
    const pid = fresh('pid');
    const script = `sleep 1000 & echo $! > ${pid}; wait`;
    const { code, stderr } = await pipe('a\n', '--timeout', '3000', '--attempts', '1', ...sh(script));
    expect(stderr).toContain('took longer than 3000 ms');
    expect(code).toBe(1);
    await gone(Number(readFileSync(pid, 'utf8')));
  });

  test('a command that is killed has failed', async () => {
    const { code, stderr } = await pipe('a\n', '--attempts', '1', ...sh('kill -9 $$'));
    expect(stderr).toContain('ended by SIGKILL');
    expect(code).toBe(1);
  });

  test('when its output pipe is closed it ends, with 1', async () => {
    const { child, ended } = start(['--size', '1', '--attempts', 'forever', '--', 'cat']);
    child.stdout?.destroy();
    child.stdin?.write('a\n');
    const { code, stderr } = await ended; // though its input stays open
    child.stdin?.destroy();
    expect(stderr).toContain('nobody reads the output');
    expect(code).toBe(1);
  });

  test('goes on when its message pipe is closed', async () => {
    const out = fresh('out');
    const { child, ended } = start(['--size', '1', ...sh(`cat >> ${out}`)]);
    child.stderr?.destroy();
    child.stdin?.end('a\nb\n');
    expect((await ended).code).toBe(0);
    expect(readFileSync(out, 'utf8')).toBe('a\nb\n');
  });
});

describe('signals', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s: what was read is delivered, with 0', async (signal) => {
    const { child, ended, printed } = start(['--size', '1', ...sh('cat; sleep 0.3; echo done')]);
    child.stdin?.write('a\n');
    await printed('a\n');
    child.kill(signal);
    await printed('no more is read');
    const { code, stdout } = await ended; // though its input stays open
    child.stdin?.destroy();
    expect(stdout.toString()).toBe('a\ndone\n');
    expect(code).toBe(0);
  });

  test('a second one ends the commands; what is left goes to --dead, with 1', async () => {
    const dead = fresh('dead');
    const { child, ended, printed } = start(['--size', '1', '--dead', dead, ...sh('cat; sleep 1000')]);
    child.stdin?.write('a\nb\n');
    await printed('a\n');
    child.kill('SIGINT');
    await printed('no more is read');
    await sleep(400); // one key press may arrive twice within 250 ms
    child.kill('SIGINT');
    const { code } = await ended;
    child.stdin?.destroy();
    expect(readFileSync(dead, 'utf8')).toBe('a\nb\n');
    expect(code).toBe(1);
  });

  test('the half of a record that was read is left out, and said', async () => {
    const { child, ended, printed } = start(['--age', '10', '--', 'cat']);
    child.stdin?.write('a\nhalf');
    await printed('a\n');
    child.kill('SIGTERM');
    const { stdout, stderr } = await ended;
    child.stdin?.destroy();
    expect(stdout.toString()).toBe('a\n');
    expect(stderr).toContain('left out 4 bytes');
  });
});

describe('--spool', () => {
  test('delivers as without it, and leaves nothing behind', async () => {
    const spool = fresh('spool');
    const input = Array.from({ length: 1000 }, (_, n) => `line ${n}\n`).join('');
    const { code, stdout } = await pipe(input, '--spool', spool, '--size', '300', '--', 'cat');
    expect(stdout.toString()).toBe(input);
    expect(code).toBe(0);
    expect(readdirSync(spool).filter((name) => name.endsWith('.batch'))).toEqual([]);
  });

  test('batches are as large as asked', async () => {
    const { stdout } = await pipe(
      'a\nb\nc\nd\ne\n',
      '--spool',
      fresh('spool'),
      '--size',
      '2',
      ...sh('echo $BATCH_SIZE $BATCH_REASON'),
    );
    expect(stdout.toString()).toBe('2 size\n2 size\n1 close\n');
  });

  test('what was read survives kill -9, and is delivered by the next run', async () => {
    const spool = fresh('spool');
    const { child, ended, printed } = start(['--spool', spool, '--size', '2', ...sh(`cat; ${hangs}`)]);
    child.stdin?.write('a\nb\nc\nd\ne\n');
    await printed('begun');
    // The rest is stored without a word, in a file for each batch.
    const isStored = (name: string): boolean => name.endsWith('.batch') && statSync(join(spool, name)).size > 0;
    while (readdirSync(spool).filter(isStored).length < 3) await sleep(10);
    await killBoth(child, printed);
    await ended;
    const { code, stdout } = await pipe('', '--spool', spool, ...sh('cat; echo $BATCH_REASON $BATCH_SIZE'));
    expect(stdout.toString()).toBe('a\nb\nrecovery 2\nc\nd\nrecovery 2\ne\nrecovery 1\n');
    expect(code).toBe(0);
  });

  test('lines of 100 MB', async () => {
    const line = Buffer.alloc(100_000_000, 'x');
    line[line.length - 1] = 10;
    const spool = fresh('spool');
    const { code, stdout } = await pipe(line, '--spool', spool, '--', 'wc', '-c');
    expect(stdout.toString()).toBe('100000000\n');
    expect(code).toBe(0);
    expect(readdirSync(join(spool, 'large'))).toEqual([]);
  });

  test('what is given up stays in its dead/, with 1', async () => {
    const spool = fresh('spool');
    const { code, stderr } = await pipe('a\n', '--spool', spool, '--attempts', '2', '--', 'false');
    expect(code).toBe(1);
    expect(stderr).toContain(`kept in ${spool}/dead`);
    expect(stderr).not.toContain('Warning');
    expect(readdirSync(join(spool, 'dead'))).toHaveLength(1);
  });

  test('a second signal leaves what is not delivered in it', async () => {
    const spool = fresh('spool');
    const { child, ended, printed } = start(['--spool', spool, '--size', '1', ...sh('cat; exec sleep 1000')]);
    child.stdin?.write('a\nb\n');
    await printed('a\n');
    child.kill('SIGTERM');
    await printed('no more is read');
    await sleep(400);
    child.kill('SIGTERM');
    expect((await ended).code).toBe(1);
    child.stdin?.destroy();
    expect((await pipe('', '--spool', spool, '--', 'cat')).stdout.toString()).toBe('a\nb\n');
    expect(existsSync(join(spool, 'dead')) ? readdirSync(join(spool, 'dead')) : []).toEqual([]);
  });

  test('a record that could not be stored ends the reading, and the half of the next one is no record', async () => {
    const spool = fresh('spool');
    const { child, ended, printed } = start(['--spool', spool, '--size', '1', ...sh('cut -c1-9')]);
    child.stdin?.write('a\n');
    await printed('a\n');
    rmSync(join(spool, 'large'), { recursive: true });
    child.stdin?.end(`${'x'.repeat(9_000_000)}\nhalf`);
    const { code, stdout, stderr } = await ended;
    expect(stdout.toString()).toBe('a\n');
    expect(stderr).toContain('left out 4 bytes');
    expect(code).toBe(1);
  });

  test('a batch that could not be moved to its dead/ ends it with 1', async () => {
    const spool = fresh('spool');
    mkdirSync(spool);
    writeFileSync(join(spool, 'dead'), 'no directory');
    const { code, stderr } = await pipe('a\n', '--spool', spool, '--attempts', '1', '--', 'false');
    expect(stderr).toContain('not everything was delivered');
    expect(code).toBe(1);
    expect(readdirSync(spool).filter((name) => name.endsWith('.batch'))).toHaveLength(1);
  });

  test('a batch whose large record has vanished ends it with 1', async () => {
    const spool = fresh('spool');
    const input = `${'x'.repeat(9_000_000)}\n`;
    const { child, ended, printed } = start(['--spool', spool, ...sh(hangs)]);
    child.stdin?.end(input);
    await printed('begun');
    await killBoth(child, printed);
    await ended;
    for (const name of readdirSync(join(spool, 'large'))) rmSync(join(spool, 'large', name));
    const { code, stderr } = await pipe('', '--spool', spool, '--attempts', '2', '--', 'cat');
    expect(stderr).toContain('a batch failed: ENOENT');
    expect(stderr).toContain('not everything was delivered');
    expect(code).toBe(1);
  });

  test('a large record without a line goes with the next start, unless something that may name it is there', async () => {
    const orphan = '01234567-0123-0123-0123-0123456789ab';
    for (const [other, left] of [
      [undefined, []],
      ['dead', [orphan]],
      ['quarantine', [orphan]],
    ] as const) {
      const spool = fresh('spool');
      mkdirSync(join(spool, 'large'), { recursive: true });
      writeFileSync(join(spool, 'large', orphan), 'x');
      for (const folder of ['dead', 'quarantine']) mkdirSync(join(spool, folder));
      if (other !== undefined) writeFileSync(join(spool, other, 'some.batch'), 'x');
      expect((await pipe('a\n', '--spool', spool, '--', 'cat')).code).toBe(0);
      expect(readdirSync(join(spool, 'large'))).toEqual(left);
    }
  });

  test('lines of other programs go to its quarantine/, with 1, and no file that they name is read or removed', async () => {
    const spool = fresh('spool');
    mkdirSync(spool);
    const other = '{"a": 1, "b": 2, "c": 3}\n1 - 7 @../victim\n1 - 9 YQo=\n';
    writeFileSync(join(spool, 'other.batch'), other);
    writeFileSync(join(spool, 'victim'), 'secret\n');
    const { code, stdout } = await pipe('', '--spool', spool, ...sh('echo $BATCH_SIZE; cat'));
    expect(stdout.toString()).toBe('');
    expect(code).toBe(1);
    expect(readFileSync(join(spool, 'victim'), 'utf8')).toBe('secret\n');
    const [name = ''] = readdirSync(join(spool, 'quarantine'));
    expect(readFileSync(join(spool, 'quarantine', name), 'utf8')).toBe(other);
  });

  test('of another live process ends with 2', async () => {
    const spool = fresh('spool');
    const first = start(['--spool', spool, '--size', '1', '--', 'cat']);
    first.child.stdin?.write('a\n');
    await first.printed('a\n');
    const { code, stderr } = await pipe('b\n', '--spool', spool, '--', 'cat');
    expect(code).toBe(2);
    expect(stderr).toContain(spool);
    first.child.stdin?.end();
    expect((await first.ended).code).toBe(0);
  });
});

describe('usage', () => {
  test('--help says all options, with 0', async () => {
    const { code, stdout } = await pipe('', '--help');
    expect(code).toBe(0);
    for (const option of [
      '--size',
      '--bytes',
      '--age',
      '--interval',
      '--concurrency',
      '--attempts',
      '--spool',
      '--dead',
      '--null',
    ]) {
      expect(stdout.toString()).toContain(option);
    }
    expect(
      Math.max(
        ...stdout
          .toString()
          .split('\n')
          .map((line) => line.length),
      ),
    ).toBeLessThan(110);
  });

  test.each([
    [[], 'command is missing'],
    [['--'], 'command is missing'],
    [['cat'], 'command is missing'],
    [['x', '--', 'cat'], 'comes after --'],
    [['--size', '0', '--', 'cat'], '--size must be a positive whole number'],
    [['--size', '1.5', '--', 'cat'], '--size'],
    [['--age', 'soon', '--', 'cat'], '--age'],
    [['--age', '-5', '--', 'cat'], '--age needs a value'],
    [['--attempts', 'never', '--', 'cat'], '--attempts must be a positive whole number or "forever", and is "never"'],
    [['--sise', '1', '--', 'cat'], "unknown option '--sise'"],
    [['--dead', '/no/such/folder/file', '--', 'cat'], '--dead must be a file that can be written: ENOENT'],
    [
      ['--spool', '/dev/null', '--', 'cat'],
      '--spool must be a directory that can be made and written, and is "/dev/null"',
    ],
    // Node's own recursive mkdir never ends there.
    [['--spool', '/proc/no/such', '--', 'cat'], '--spool must be a directory'],
    [['--', '/tmp'], '/tmp: is a directory'],
  ])('%j ends with 2, and says what was expected in a line', async (args, message) => {
    const { code, stderr } = await pipe('a\n', ...args);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr.replace('Try: batch-please pipe --help\n', '').trimEnd()).not.toContain('\n');
  });

  test('--quiet says nothing when all is well', async () => {
    expect((await pipe('a\n', '--quiet', '--', 'true')).stderr).toBe('');
  });
});

async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await sleep(10);
  }
}
