#!/usr/bin/env node
const [topic, ...args] = process.argv.slice(2);

const USAGE = `Usage: batch-please COMMAND

  pipe    runs a command for each batch of records from standard input
  spool   shows what is in the directory of a FileBatcher

batch-please COMMAND --help says more.
`;

async function main(): Promise<number> {
  // Each loads only what it needs.
  if (topic === 'pipe') return (await import('./pipe.js')).pipe(args);
  if (topic === 'spool') return (await import('./spool.js')).spool(['spool', ...args]);
  const help = topic === '--help' || topic === '-h';
  if (help) process.stdout.write(USAGE);
  else process.stderr.write(`${topic === undefined ? 'no command' : `no such command: ${topic}`}\n\n${USAGE}`);
  return help ? 0 : 2;
}

void main().then((code) => {
  process.exitCode = code;
});
