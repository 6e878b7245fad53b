// Builds dist/: ESM and CommonJS from the same sources, each with its own declarations.
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

// A file that was removed from the sources must not stay in the package.
rmSync(join(root, 'dist'), { recursive: true, force: true });
for (const [format, type] of [
  ['esm', 'module'],
  ['cjs', 'commonjs'],
]) {
  execFileSync(process.execPath, [tsc, '-p', `tsconfig.${format}.json`], { cwd: root, stdio: 'inherit' });
  // Without it Node and TypeScript would take the CommonJS files for ESM, as the package itself says "module".
  // sideEffects is repeated because bundlers read the nearest package.json only.
  writeFileSync(join(root, 'dist', format, 'package.json'), JSON.stringify({ type, sideEffects: false }) + '\n');
}
