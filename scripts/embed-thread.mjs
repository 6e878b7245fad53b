// Copies the code of worker threads into a TypeScript string: npm run embed-thread, after each change of thread.mjs.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), 'src', 'serving', 'workers');

export function embedded() {
  const code = readFileSync(join(folder, 'thread.mjs'), 'utf8');
  const text = code.replace(/[\\`]|\$\{/g, (match) => `\\${match}`);
  return `/** The code of worker threads: a copy of thread.mjs, made by scripts/embed-thread.mjs. */\nexport const THREAD_SOURCE = \`${text}\`;\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(join(folder, 'thread-source.ts'), embedded());
