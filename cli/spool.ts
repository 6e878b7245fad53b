import { once } from 'node:events';
import { appendFileSync, closeSync, openSync, statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  type Inspection,
  type SpoolFile,
  inspect,
  isLocked,
  namesIn,
  spoolFiles,
} from '../collectors/file/inspection.js';

const USAGE = `Usage: batch-please spool verify|cat|salvage DIRECTORY

What is in the directory of a FileBatcher. Nothing in it is changed, whoever owns it.

  verify    says for each file how many items it has, and whether it is intact
  cat       prints the good items of the files that wait for delivery, one per line, oldest first
  salvage   prints all good items, also those in dead/ and quarantine/

  -o, --output FILE   of cat and salvage: writes to a new file instead
  -h, --help

Ends with 0 if everything is intact, 1 if damage was found, 2 if it was called wrongly.
`;

/** The exit code. */
type Code = 0 | 1 | 2;

export async function spool(args: readonly string[]): Promise<Code> {
  const options = { output: { type: 'string', short: 'o' }, help: { type: 'boolean', short: 'h' } } as const;
  try {
    const { positionals, values } = parseArgs({ args: [...args], options, allowPositionals: true });
    if (values.help === true) {
      process.stdout.write(USAGE);
      return 0;
    }
    const [topic, command, directory, ...more] = positionals;
    if (topic !== 'spool') return wrong(topic === undefined ? 'no command' : `no such command: ${topic}`);
    if (directory === undefined || more.length > 0) return wrong('one directory is needed');
    if (!isDirectory(directory)) return wrong(`no such directory: ${directory}`);
    if (command === 'verify' && values.output === undefined) return await verify(directory);
    if (command === 'cat') return await print(directory, false, values.output);
    if (command === 'salvage') return await print(directory, true, values.output);
    return wrong(command === 'verify' ? 'verify has no --output' : `no such command: spool ${command ?? ''}`);
  } catch (error) {
    return wrong(error instanceof Error ? error.message : String(error));
  }
}

function wrong(message: string): Code {
  process.stderr.write(`${message}\n\n${USAGE}`);
  return 2;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

async function verify(directory: string): Promise<Code> {
  const live = await isLocked(directory);
  let files = 0;
  let items = 0;
  let damaged = 0;
  for (const file of await spoolFiles(directory)) {
    const found = await inspect(file);
    if (found === undefined) continue;
    const damage = damageOf(found, live);
    files++;
    items += found.good;
    if (damage !== undefined) damaged++;
    process.stdout.write(`${file.name}  ${found.good} items, ${found.bytes} bytes, ${damage ?? 'intact'}\n`);
  }
  process.stdout.write(`${files} files, ${items} items, ${damaged} damaged\n`);
  for (const folder of ['dead', 'quarantine'] as const) {
    const aside = await namesIn(directory, folder);
    if (aside.length > 0) process.stdout.write(`${aside.length} files in ${folder}/\n`);
  }
  if (live) process.stdout.write('a live process owns the directory\n');
  return damaged > 0 ? 1 : 0;
}

/** The last line of a file that is being written may be on its way. */
function damageOf({ bad, torn, error }: Inspection, live: boolean): string | undefined {
  if (error !== undefined) return `cannot be read: ${error}`;
  const parts: string[] = [];
  if (bad > 0) parts.push(`${bad} damaged lines`);
  if (torn > 0 && !live) parts.push(`${torn} line cut short`);
  return parts.length > 0 ? parts.join(', ') : undefined;
}

async function print(directory: string, aside: boolean, output: string | undefined): Promise<Code> {
  const live = await isLocked(directory);
  // 'wx': it must not exist, so nothing is overwritten.
  const descriptor = output === undefined ? undefined : openSync(output, 'wx', 0o600);
  const write = descriptor === undefined ? toStdout() : (line: Buffer): void => appendFileSync(descriptor, line);
  let damaged = 0;
  for (const file of await spoolFiles(directory, aside)) {
    const found = await inspect(file, write);
    const damage = found === undefined ? undefined : damageOf(found, live);
    if (damage === undefined || isQuarantined(file)) continue;
    damaged++;
    process.stderr.write(`${file.name}: ${damage}\n`);
  }
  if (descriptor !== undefined) closeSync(descriptor);
  return damaged > 0 ? 1 : 0;
}

/** Bad lines are what that folder is for. */
function isQuarantined({ name }: SpoolFile): boolean {
  return name.startsWith('quarantine');
}

function toStdout(): (line: Buffer) => void | Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : 1); // whoever reads has seen enough
  });
  return (line) => {
    // A copy: the bytes are used again while this one waits to be written.
    if (process.stdout.write(Buffer.from(line))) return undefined;
    return once(process.stdout, 'drain').then(() => undefined);
  };
}
