import * as fs from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';

/** Of the project; jest and npm both start there. */
const ROOT = process.cwd();

/**
 * The sources as plain JavaScript in `.data/`: a child process then starts in a tenth of a second, which matters when
 * thousands of them are killed.
 */
export function compile(): string {
  const target = fs.mkdtempSync(join(makeData(), 'proof-'));
  const sources = ['src', 'collectors'].flatMap((folder) =>
    fs
      .readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .map((name) => join(ROOT, folder, name))
      .filter((path) => path.endsWith('.ts')),
  );
  sources.push(join(ROOT, 'test/collectors/file/proof/child.ts'));
  for (const path of sources) {
    const { outputText } = ts.transpileModule(fs.readFileSync(path, 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
    });
    const output = join(target, relative(ROOT, path)).replace(/\.ts$/, '.js');
    fs.mkdirSync(dirname(output), { recursive: true });
    fs.writeFileSync(output, outputText);
  }
  fs.writeFileSync(join(target, 'package.json'), '{"type":"commonjs"}');
  return target;
}

function makeData(): string {
  const data = join(ROOT, '.data');
  fs.mkdirSync(data, { recursive: true });
  return data;
}

export function childOf(compiled: string): string {
  return join(compiled, 'test/collectors/file/proof/child.js');
}
