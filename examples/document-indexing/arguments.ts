import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, CommanderError, InvalidArgumentError } from 'commander';

export interface Arguments {
  /** Absolute. */
  directory: string;
  query: string;
  batchSize: number;
  batchAge: number;
  limit: number;
  data: string;
  server: URL | undefined;
}

/** Something the user can put right on the command line. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** `undefined` when the help was asked for and has been printed. */
export function parseArguments(argv: readonly string[], environment: NodeJS.ProcessEnv): Arguments | undefined {
  const program = new Command('document-indexing')
    .description('Indexes the Markdown documents under a directory in Postgres and searches them.')
    .argument('[directory]', 'where the documents are', 'node_modules')
    .option('-q, --query <words>', 'what to search for when the index is made', words, 'connection pool')
    .option('-b, --batch-size <rows>', 'sections in one insert', wholeNumber(1, 5_000), 500)
    .option('-a, --batch-age <ms>', 'longest time a section waits for its insert', wholeNumber(1, 3_600_000), 1_000)
    .option('-l, --limit <files>', 'index only that many files', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option('-d, --data <dir>', 'where the embedded database is kept', words, '.data')
    .addHelpText('after', '\nWith DATABASE_URL set, that Postgres server is used instead of the embedded database.')
    .configureOutput({ outputError: () => undefined })
    .exitOverride();
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw new UsageError(error.message.replace(/^error: /, ''));
  }
  const options = program.opts<{ query: string; batchSize: number; batchAge: number; limit?: number; data: string }>();
  const directory = program.processedArgs[0] as string;
  requireDirectory(directory);
  if (existsSync(options.data)) requireDirectory(options.data);
  return {
    directory: resolve(directory),
    ...options,
    limit: options.limit ?? Infinity,
    server: serverOf(environment['DATABASE_URL']),
  };
}

function words(value: string): string {
  if (value.trim() === '') throw new InvalidArgumentError('It must not be empty.');
  return value;
}

function wholeNumber(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = /^\d+$/.test(value) ? Number(value) : NaN;
    if (number >= min && number <= max) return number;
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new InvalidArgumentError(`It must be a whole number ${range}.`);
  };
}

function requireDirectory(directory: string): void {
  const found = statSync(directory, { throwIfNoEntry: false });
  if (found === undefined) throw new UsageError(`there is no directory '${directory}'`);
  if (!found.isDirectory()) throw new UsageError(`'${directory}' is not a directory`);
}

function serverOf(address: string | undefined): URL | undefined {
  if (address === undefined || address === '') return undefined;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  // The address itself stays out of the message: it may hold a password.
  if (url?.protocol !== 'postgres:' && url?.protocol !== 'postgresql:') {
    throw new UsageError('DATABASE_URL must look like postgres://user:password@host:port/database');
  }
  return url;
}
