import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inDirectory } from '../../lib/files.js';
import { judge } from '../../lib/sink.js';

/**
 * Runs a shell command that reads the integers 0, 1, 2, …, a line each, and hands them on in batches. `command` is given
 * what to do with a batch: forget it, or when every line is checked append it to a file.
 */
export const pipe = ({ n, verify }, meter, command) =>
  inDirectory((directory) => {
    const input = join(directory, 'input');
    const output = join(directory, 'output');
    writeFileSync(input, Array.from({ length: n }, (_, i) => `${i}\n`).join(''));
    const sink = verify ? `cat >> ${output}` : 'cat > /dev/null';
    meter.start();
    const { status, stderr } = spawnSync('sh', ['-c', `cat ${input} | ${command(sink)}`], { encoding: 'utf8' });
    meter.stop();
    if (status !== 0) return { failed: `ended with ${status}: ${stderr.slice(-300)}` };
    if (!verify) return { count: n, rate: n / (meter.wall / 1e9) };
    const found = readFileSync(output, 'utf8').trimEnd().split('\n').map(Number);
    const sum = found.reduce((a, b) => a + b, 0);
    const disorder = found.filter((line, i) => line !== i).length;
    return judge({ expected: n, count: found.length, sum, disorder }, { rate: n / (meter.wall / 1e9) });
  });
