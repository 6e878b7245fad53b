// Builds dist/: ESM and CommonJS, bundled, so that an import loads a few files instead of a hundred. The entry points of one
// format share their code in chunks, so that a class is the same object behind each of them.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const filesUnder = (folder) =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));

/** Every file in dist/esm that package.json names, by the source that it is built from. */
function entryPoints() {
  const named = new Set(JSON.stringify([manifest.exports, manifest.bin]).match(/dist\/esm\/[^"]+\.js/g));
  return [...named].map((file) => join(root, file.replace('dist/esm/', '').replace(/\.js$/, '.ts')));
}

/**
 * The errors are apart: small entry points use nothing else of the families, which are one file. A file costs more to load
 * than its size does, and bundlers leave out what a program does not use (which test/package.long.test.ts watches).
 */
const ERRORS = join(root, 'src', 'errors.ts');

const common = {
  absWorkingDir: root,
  outbase: root,
  platform: 'neutral',
  target: 'es2022',
  sourcemap: true,
  logLevel: 'warning',
};

// A file that was removed from the sources must not stay in the package.
rmSync(dist, { recursive: true, force: true });

const { metafile } = await build({
  ...common,
  entryPoints: [...entryPoints(), ERRORS],
  outdir: join(dist, 'esm'),
  chunkNames: 'shared/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  metafile: true,
  // What is not declared for those who install the package becomes part of it.
  external: ['node:*', ...Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })],
});

// esbuild keeps imports for their side effects, though package.json says that there are none: a small entry point would
// load all families. The lines stay, for the source maps.
for (const file of filesUnder(join(dist, 'esm')).filter((name) => name.endsWith('.js'))) {
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^import "\.[^"]*";$/gm, ''));
}

// The same files again: esbuild splits ES modules only.
await build({
  ...common,
  entryPoints: filesUnder(join(dist, 'esm')).filter((file) => file.endsWith('.js') && !file.includes('/esm/cli/')),
  outbase: join(dist, 'esm'),
  outdir: join(dist, 'cjs'),
  format: 'cjs',
  platform: 'node',
});

writeFileSync(join(dist, 'THIRD-PARTY-LICENSES'), licences());
await declare();

for (const [format, type] of [
  ['esm', 'module'],
  ['cjs', 'commonjs'],
]) {
  // Without it Node and TypeScript would take the CommonJS files for ESM, as the package itself says "module".
  // sideEffects is repeated because bundlers read the nearest package.json only.
  writeFileSync(join(dist, format, 'package.json'), JSON.stringify({ type, sideEffects: false }) + '\n');
}

/** The licences of the packages whose code is in the bundle. */
function licences() {
  const packages = new Set();
  for (const { inputs } of Object.values(metafile.outputs)) {
    for (const [input, { bytesInOutput }] of Object.entries(inputs)) {
      const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
      if (name !== undefined && bytesInOutput > 0) packages.add(name);
    }
  }
  const texts = [...packages].sort().map((name) => {
    const folder = join(root, 'node_modules', name);
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    if (file === undefined) throw new Error(`${name} has no licence, and its code is in the bundle`);
    return `${name} ${version}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
  });
  return `Parts of these packages are in the files of this one.\n\n${texts.join('\n\n')}`;
}

/** Declarations as tsc writes them, but only those that an entry point leads to. */
async function declare() {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const whole = join(dist, 'types');
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
  const found = new Set();
  const walk = (file) => {
    if (found.has(file)) return;
    found.add(file);
    for (const [, path] of readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*'(\.[^']+)\.js'/g)) {
      walk(join(dirname(file), `${path}.d.ts`));
    }
  };
  for (const entry of entryPoints()) {
    if (!entry.startsWith(join(root, 'cli'))) walk(join(whole, relative(root, entry).replace(/\.ts$/, '.d.ts')));
  }
  for (const file of found) {
    let text = readFileSync(file, 'utf8');
    // So that they hold in projects whose `lib` does not have it.
    if (text.includes('Symbol.asyncDispose')) text = `/// <reference lib="esnext.disposable" />\n${text}`;
    // And in those without the types of Node or of an optional peer, where such a type is `any`.
    text = text.replace(/^(?=import .* from '(?!\.))/gm, '// @ts-ignore -- not everybody has these types\n');
    for (const format of ['esm', 'cjs']) {
      const target = join(dist, format, relative(whole, file));
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, text);
    }
  }
  rmSync(whole, { recursive: true });
}
