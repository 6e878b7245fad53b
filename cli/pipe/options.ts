import { parseArgs } from 'node:util';

export const USAGE = `Usage: batch-please pipe [OPTION]... -- COMMAND [ARG]...

Reads records from standard input and runs COMMAND once per batch, with the batch on its standard input.

When a batch is complete (without any of these: 1000 records):
  --size N          records in a batch, at most
  --bytes N         bytes in a batch, at most (64 MiB); a longer record goes alone
  --age MS          milliseconds after its first record
  --interval MS     every so many milliseconds, if there is something

How batches are delivered:
  --concurrency N   commands that run at the same time (1: batches keep their order)
  --attempts N      runs of the command for one batch (5), or "forever"; the wait
                    between them grows from 0.1 to 30 seconds
  --timeout MS      a run that takes longer is ended, and has failed (no limit)
  --dead FILE       appends the records of batches that are given up to FILE
  --spool DIR       stores what is read in DIR first: it survives kill -9, and the
                    next run with the same DIR delivers it. At least once: a batch
                    whose command was running when the process died runs again,
                    with the same BATCH_ID. Given-up batches move to DIR/dead/

  -0, --null        records end with a zero byte instead of a newline
  -q, --quiet       no summary at the end
  -h, --help

A run has failed if the command ends with another code than 0, or by a signal.
In its environment:
  BATCH_ID        the same in every attempt, and of no other batch
  BATCH_SIZE      records
  BATCH_ATTEMPT   1 at first
  BATCH_REASON    size, weight (bytes), age, interval, close (the input has ended), recovery

Ctrl-C, SIGTERM and SIGHUP stop reading and deliver what was read; a second one
ends the commands at once, and gives up what is left (with --spool it stays there).

Ends with 0 if everything was delivered, 1 if something was given up, 2 if it was called wrongly.

Examples:
  tail -F access.log | batch-please pipe --size 5000 --age 2000 -- ./load-into-clickhouse
  find . -name '*.jpg' -print0 | batch-please pipe -0 --size 100 --concurrency 4 -- xargs -0 ./thumbnails
  mosquitto_sub -t 'sensors/#' | batch-please pipe --age 1000 --attempts forever --spool /var/spool/sensors \\
      -- curl --fail --silent --data-binary @- https://example.com/ingest
`;

export interface PipeOptions {
  readonly size: number;
  readonly bytes: number;
  readonly age: number | null;
  readonly interval: number | null;
  readonly concurrency: number;
  readonly attempts: number;
  /** Milliseconds, or 0 for none. */
  readonly timeout: number;
  readonly spool: string | undefined;
  readonly dead: string | undefined;
  readonly separator: number;
  readonly quiet: boolean;
  readonly command: string;
  readonly args: readonly string[];
}

const DEFAULT_SIZE = 1000;
const DEFAULT_BYTES = 64 * 1024 * 1024;
const DEFAULT_ATTEMPTS = 5;

const FLAGS = {
  size: { type: 'string' },
  bytes: { type: 'string' },
  age: { type: 'string' },
  interval: { type: 'string' },
  concurrency: { type: 'string' },
  attempts: { type: 'string' },
  timeout: { type: 'string' },
  spool: { type: 'string' },
  dead: { type: 'string' },
  null: { type: 'boolean', short: '0' },
  quiet: { type: 'boolean', short: 'q' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** `undefined`: help is asked for. Throws an error with a message for the user. */
export function readPipeOptions(args: readonly string[]): PipeOptions | undefined {
  const border = args.indexOf('--');
  const own = border < 0 ? args : args.slice(0, border);
  const { values, positionals } = parse(own);
  if (values.help === true) return undefined;
  const [command, ...rest] = border < 0 ? [] : args.slice(border + 1);
  if (command === undefined || command === '') throw new Error('the command is missing: -- COMMAND [ARG]...');
  if (positionals[0] !== undefined) throw new Error(`"${positionals[0]}" is no option; the command comes after --`);
  for (const name of ['spool', 'dead'] as const) if (values[name] === '') throw new Error(`--${name} needs a path`);
  const { size, bytes, age, interval } = values;
  const untimed = bytes === undefined && age === undefined && interval === undefined;
  return {
    size: number('size', size) ?? (untimed ? DEFAULT_SIZE : Infinity),
    bytes: number('bytes', bytes) ?? DEFAULT_BYTES,
    age: number('age', age) ?? null,
    interval: number('interval', interval) ?? null,
    concurrency: number('concurrency', values.concurrency) ?? 1,
    attempts:
      values.attempts === 'forever'
        ? Infinity
        : (number('attempts', values.attempts, ' or "forever"') ?? DEFAULT_ATTEMPTS),
    timeout: number('timeout', values.timeout) ?? 0,
    spool: values.spool,
    dead: values.dead,
    separator: values.null === true ? 0 : 0x0a,
    quiet: values.quiet === true,
    command,
    args: rest,
  };
}

function parse(
  args: readonly string[],
): ReturnType<typeof parseArgs<{ options: typeof FLAGS; allowPositionals: true }>> {
  try {
    return parseArgs({ args: [...args], options: FLAGS, allowPositionals: true });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    // Node adds advice about positional arguments, which takes three lines.
    const [message = ''] = error.message.split(/\. To specify|\n/);
    const option = /--[\w-]+/.exec(message)?.[0];
    if (/is ambiguous/.test(message)) throw new Error(`${String(option)} needs a value, which does not begin with "-"`);
    throw new Error(message.replace(/^[OU]/, (letter) => letter.toLowerCase()));
  }
}

function number(name: string, text: string | undefined, otherwise = ''): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value > 0 && Number.isSafeInteger(value)) return value;
  throw new Error(`--${name} must be a positive whole number${otherwise}, and is "${text}"`);
}
