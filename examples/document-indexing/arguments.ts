import { accessSync, constants, existsSync, readFileSync, statSync, type Stats } from 'node:fs';
import { resolve } from 'node:path';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { MAX_USER } from './live/requests.js';
import type { ProgressWay } from './protocol.js';

/** What both ways to run need. */
interface Common {
  batchSize: number;
  batchAge: number;
  data: string;
  server: URL | undefined;
}

/** `--no-server` */
export interface OnceArguments extends Common {
  live?: undefined;
  /** Absolute. */
  directory: string;
  query: string;
  limit: number;
}

export interface LiveArguments {
  /** `exact`: it was asked for, so no other one will do. */
  port: { number: number; exact: boolean };
  /** Opens the page in a browser. */
  open: boolean;
  host: string;
  roots: string[];
  progress: ProgressWay;
  user: string;
  embeddings: { url: URL; model: string; key: string | undefined; costPerMillionTokens: number } | undefined;
}

export interface ServerArguments extends Common {
  live: LiveArguments;
  /** Of the first job, if there is to be one. Absolute. */
  directory: string | undefined;
}

export type Arguments = OnceArguments | ServerArguments;

/** Something the user can put right on the command line. */
export class UsageError extends Error {
  override name = 'UsageError';
}

interface Options {
  index?: string | false;
  server: boolean;
  query: string;
  batchSize: number;
  batchAge: number;
  limit?: number;
  data: string;
  port?: number;
  open: boolean;
  host: string;
  root?: string[];
  progress: ProgressWay;
  user: string;
}

const DOCUMENTATION = 'node_modules';
const DEFAULT_PORT = 4747;
const OF_THE_SERVER = ['port', 'open', 'host', 'root', 'progress', 'user'] as const;
const WITHOUT_SERVER = ['query', 'limit'] as const;

/** `undefined` when the help was asked for and has been printed. */
export function parseArguments(argv: readonly string[], environment: NodeJS.ProcessEnv): Arguments | undefined {
  const program = new Command('document-indexing')
    .description('A search engine for the Markdown documents on this disk: a page in the browser, on Postgres.')
    .argument('[directory]', 'the same as --index')
    .option(
      '-i, --index <dir>',
      `what to index first (default: ${DOCUMENTATION}, the documentation installed here)`,
      words,
    )
    .option('--no-index', 'begin with nothing')
    .option(
      '-p, --port <number>',
      'of the page; 0 is a free one (default: 4747, or the next one that is free)',
      wholeNumber(0, 65_535),
    )
    .option('-o, --open', 'open the page in a browser', false)
    .option('--host <address>', 'where to listen; the default is for this machine alone', words, '127.0.0.1')
    .option(
      '-r, --root <dir>',
      'jobs may index folders below it; may be repeated (default: what --index says)',
      several,
    )
    .addOption(
      new Option('--progress <way>', 'how batches tell of progress')
        .choices(['summary', 'items', 'isolated'])
        .default('summary'),
    )
    .option('-u, --user <name>', 'whose the first job is', userName, 'you')
    .option('-b, --batch-size <rows>', 'sections in one insert', wholeNumber(1, 5_000), 500)
    .option('-a, --batch-age <ms>', 'longest time a section waits for its insert', wholeNumber(1, 3_600_000), 1_000)
    .option('-d, --data <dir>', 'where uploads and the embedded database are kept', words, '.data')
    .option('--no-server', 'no page: index, report, answer --query, end')
    .option('-q, --query <words>', 'with --no-server: what to search for', words, 'connection pool')
    .option('-l, --limit <files>', 'with --no-server: only that many', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .addHelpText('after', '\nWith DATABASE_URL set, that Postgres server is used instead of the embedded database;')
    .addHelpText('after', 'with EMBEDDINGS_URL (and EMBEDDINGS_MODEL, _KEY, _COST), that API makes the vectors.')
    .addHelpText(
      'after',
      '\nWith --machines <number> it runs as several processes over NATS: examples/several-machines.',
    )
    .version(version(), '-V, --version')
    .showSuggestionAfterError(false)
    .configureOutput({ outputError: () => undefined })
    .exitOverride();
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw new UsageError(error.message.replace(/^error: /, ''));
  }
  const options = program.opts<Options>();
  const foreign = (options.server ? WITHOUT_SERVER : OF_THE_SERVER).find(
    (name) => program.getOptionValueSource(name) === 'cli',
  );
  if (foreign !== undefined) {
    throw new UsageError(`option '--${foreign}' is ${options.server ? 'only for' : 'not for'} --no-server`);
  }
  const directory = directoryOf(program.processedArgs[0] as string | undefined, options);
  if (existsSync(options.data)) requireDirectory('--data', options.data);
  const { batchSize, batchAge, data } = options;
  const common = { batchSize, batchAge, data, server: serverOf(environment['DATABASE_URL']) };
  if (!options.server) {
    if (directory === undefined) throw new UsageError('--no-index leaves nothing to do without a server');
    return { ...common, directory, query: options.query, limit: options.limit ?? Infinity };
  }
  const roots = options.root ?? [directory ?? DOCUMENTATION];
  for (const root of roots) requireDirectory('--root', root);
  const { host, open, progress, user } = options;
  const port = { number: options.port ?? DEFAULT_PORT, exact: options.port !== undefined };
  const live = { port, open, host, progress, user, roots, embeddings: embeddingsOf(environment) };
  return { ...common, directory, live };
}

function directoryOf(argument: string | undefined, { index }: Options): string | undefined {
  if (argument !== undefined && index !== undefined) throw new UsageError('name the directory once');
  if (index === false) return undefined;
  const directory = argument ?? index ?? DOCUMENTATION;
  requireDirectory(index === undefined ? '[directory]' : '--index', directory);
  return resolve(directory);
}

function words(value: string): string {
  if (value.trim() === '') throw new InvalidArgumentError('It must not be empty.');
  return value;
}

function userName(value: string): string {
  if (words(value).length > MAX_USER) throw new InvalidArgumentError(`It has at most ${MAX_USER} characters.`);
  return value;
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

function several(value: string, before: string[] = []): string[] {
  return [...before, words(value)];
}

function wholeNumber(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = /^\d+$/.test(value) ? Number(value) : NaN;
    if (number >= min && number <= max) return number;
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new InvalidArgumentError(`It must be a whole number ${range}.`);
  };
}

function requireDirectory(option: string, directory: string): void {
  const expected = `${option} must be a directory that can be read`;
  let found: Stats | undefined;
  try {
    found = statSync(directory, { throwIfNoEntry: false });
    if (found?.isDirectory() === true) accessSync(directory, constants.R_OK | constants.X_OK);
  } catch (error) {
    throw new UsageError(`${expected}: '${directory}': ${permissionOr(error)}`);
  }
  if (found === undefined) throw new UsageError(`${expected}: there is no '${directory}'`);
  if (!found.isDirectory()) throw new UsageError(`${expected}, and '${directory}' is a file`);
}

function permissionOr(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'EACCES' ? 'permission denied' : message;
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

function embeddingsOf(environment: NodeJS.ProcessEnv): LiveArguments['embeddings'] {
  const address = environment['EMBEDDINGS_URL'] ?? '';
  if (address === '') return undefined;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new UsageError('EMBEDDINGS_URL must look like https://host/v1/embeddings');
  }
  const costPerMillionTokens = Number(environment['EMBEDDINGS_COST'] ?? 0);
  if (!(costPerMillionTokens >= 0))
    throw new UsageError('EMBEDDINGS_COST must be a number: dollars for a million tokens');
  const model = environment['EMBEDDINGS_MODEL'] ?? 'default';
  return { url, model, key: environment['EMBEDDINGS_KEY'], costPerMillionTokens };
}
