import { once } from 'node:events';
import { appendFileSync, closeSync, fstatSync, ftruncateSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  type Inspection,
  type SpoolFile,
  VisitError,
  foreignNames,
  inspect,
  isLocked,
  namesIn,
  spoolFiles,
} from '../collectors/file/inspection.js';

const USAGE = `Usage: batch-please spool verify|cat|salvage DIRECTORY

Reads the directory of a FileBatcher. Nothing in it is changed, whether a process owns it or not.

  verify    says for each file how many items it has, and whether it is intact; so for those in dead/
  cat       prints the good items of the files that wait for delivery, one per line, oldest first
  salvage   prints all good items, also those in dead/ and quarantine/

  -o, --output FILE   of cat and salvage: writes to a new file instead
  -h, --help

Ends with 0 if everything is intact, 1 if damage was found, 2 if it was called wrongly, 3 if the output could not be
written.
`;

/** The exit code. */
type Code = 0 | 1 | 2 | 3;

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
    if (error instanceof VisitError) return notWritten(error.cause);
    return wrong(messageOf(error));
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A full device says nothing about the spool. */
function notWritten(error: unknown): Code {
  process.stderr.write(`the output could not be written: ${messageOf(error)}\n`);
  return 3;
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
  const sum = { files: 0, items: 0, damaged: 0 };
  const look = async (file: SpoolFile): Promise<void> => {
    const found = await inspect(file);
    if (found === undefined) return;
    const damage = damageOf(found, live);
    sum.files++;
    sum.items += found.good;
    if (damage !== undefined) sum.damaged++;
    process.stdout.write(`${file.name}  ${found.good} items, ${found.bytes} bytes, ${damage ?? 'intact'}\n`);
  };
  for (const file of await spoolFiles(directory)) await look(file);
  const foreign = await foreignNames(directory);
  for (const name of foreign) process.stdout.write(`${name}  a name or a format that is not known\n`);
  sum.damaged += foreign.length;
  const dead = await namesIn(directory, 'dead');
  const waiting = { ...sum };
  for (const name of dead) await look({ name, path: join(directory, name) });
  process.stdout.write(`${waiting.files} files, ${waiting.items} items, ${sum.damaged} damaged\n`);
  const quarantined = await namesIn(directory, 'quarantine');
  if (dead.length > 0) process.stdout.write(`${dead.length} files in dead/\n`);
  if (quarantined.length > 0) process.stdout.write(`${quarantined.length} files in quarantine/\n`);
  if (live) process.stdout.write('a live process owns the directory\n');
  return sum.damaged > 0 ? 1 : 0;
}

/** The last line of a file that is being written may be incomplete. */
function damageOf({ bad, torn, error }: Inspection, live: boolean): string | undefined {
  if (error !== undefined) return `cannot be read: ${error}`;
  const parts: string[] = [];
  if (bad > 0) parts.push(`${bad} damaged lines`);
  if (torn > 0 && !live) parts.push(`${torn} line cut short`);
  return parts.length > 0 ? parts.join(', ') : undefined;
}

async function print(directory: string, aside: boolean, output: string | undefined): Promise<Code> {
  const live = await isLocked(directory);
  const descriptor = output === undefined ? undefined : create(output);
  try {
    const write = descriptor === undefined ? toStdout() : toFile(descriptor);
    let damaged = 0;
    for (const file of await spoolFiles(directory, aside)) {
      const found = await inspect(file, write);
      const damage = found === undefined ? undefined : damageOf(found, live);
      if (damage === undefined || isQuarantined(file)) continue;
      damaged++;
      process.stderr.write(`${file.name}: ${damage}\n`);
    }
    for (const name of await foreignNames(directory)) {
      damaged++;
      process.stderr.write(`${name}: a name or a format that is not known\n`);
    }
    return damaged > 0 ? 1 : 0;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** It must not exist, so that nothing is overwritten; one that does is a mistake of the caller's. */
function create(output: string): number {
  try {
    return openSync(output, 'wx', 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error;
    throw new VisitError(error);
  }
}

/** A line that does not fit is taken back: what is in the file are whole lines. */
function toFile(descriptor: number): (line: Buffer) => void {
  return (line) => {
    const { size } = fstatSync(descriptor);
    try {
      appendFileSync(descriptor, line);
    } catch (error) {
      ftruncateSync(descriptor, size);
      throw error;
    }
  };
}

/** Files in quarantine/ consist of bad lines. */
function isQuarantined({ name }: SpoolFile): boolean {
  return name.startsWith('quarantine');
}

function toStdout(): (line: Buffer) => void | Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader of a closed pipe has seen enough.
    process.exit(error.code === 'EPIPE' ? 0 : notWritten(error));
  });
  return (line) => {
    // A copy: the bytes are used again while this one waits to be written.
    if (process.stdout.write(Buffer.from(line))) return undefined;
    return once(process.stdout, 'drain').then(() => undefined);
  };
}
