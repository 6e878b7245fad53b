import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type BuildOptions } from 'esbuild';
import { nameOf, type Block } from './readme.js';
import { manifest, root, run, type Outcome } from './project.js';

/** An example that takes longer is a bad example, or one that never ends; on a busy machine everything takes longer. */
const LIMIT = 240_000;
/** Processes at once: most examples wait for a timer most of the time. */
const AT_ONCE = 3;

const isCommonJs = ({ code, language }: Block): boolean => language.startsWith('j') && /\brequire\(/.test(code);

/**
 * A user who has installed the package, built from the sources, and runs blocks of our pages. Built and compiled once
 * for all blocks, so that each of them costs no more than a start of Node.
 */
export class Reader {
  readonly folder: string;
  readonly #waiting: (() => void)[] = [];
  #free = AT_ONCE;

  constructor() {
    // Below the project, so that a block finds other packages; what is in .data is no source.
    mkdirSync(join(root, '.data'), { recursive: true });
    this.folder = mkdtempSync(join(root, '.data', 'readme-'));
    // Without it `batch-please` would be the project itself, whose `dist` may be of another day.
    writeFileSync(join(this.folder, 'package.json'), JSON.stringify({ name: 'reader', private: true }));
  }

  async install(): Promise<void> {
    const { exports, dependencies, peerDependencies } = manifest();
    const home = join(this.folder, 'node_modules', 'batch-please');
    const conditions: Record<string, object> = {};
    const entryPoints: Record<string, string> = {};
    for (const [subpath, { import: entry } = {}] of Object.entries(exports)) {
      if (entry === undefined) continue;
      const name = entry.default.replace(/^\.\/dist\/esm\/|\.js$/g, '');
      entryPoints[name] = `${name}.ts`;
      conditions[subpath] = { import: `./${name}.mjs`, require: `./${name}.cjs` };
    }
    const options: BuildOptions = {
      absWorkingDir: root,
      entryPoints,
      outdir: home,
      bundle: true,
      platform: 'node',
      target: 'node20',
      logLevel: 'warning',
      external: Object.keys({ ...dependencies, ...peerDependencies }),
    };
    await Promise.all([
      build({ ...options, format: 'esm', splitting: true, outExtension: { '.js': '.mjs' } }),
      build({ ...options, format: 'cjs', outExtension: { '.js': '.cjs' } }),
    ]);
    writeFileSync(join(home, 'package.json'), JSON.stringify({ name: 'batch-please', exports: conditions }));
  }

  /** Makes programs of blocks. */
  async write(blocks: readonly Block[]): Promise<void> {
    const entryPoints = blocks.map((block) => {
      const extension = isCommonJs(block) ? 'cjs' : block.language.startsWith('j') ? 'mjs' : 'mts';
      const file = join(this.folder, `${nameOf(block)}.${extension}`);
      writeFileSync(file, block.code);
      return file;
    });
    await build({
      entryPoints: entryPoints.filter((file) => file.endsWith('.mts')),
      outdir: this.folder,
      outExtension: { '.js': '.mjs' },
      format: 'esm',
      platform: 'node',
      target: 'node20',
      sourcemap: 'inline',
      logLevel: 'silent',
    });
  }

  async run(block: Block): Promise<Outcome> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      const file = join(this.folder, `${nameOf(block)}.${isCommonJs(block) ? 'cjs' : 'mjs'}`);
      return await run(process.execPath, ['--enable-source-maps', file], this.folder, LIMIT);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  leave(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
