// Writes the files of docs/api: the public surface of each entry point, so that a change of the surface is visible in a review.
// With `--check` it writes nothing, and fails when a report is out of date. Either way it fails when something public has no
// doc comment.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CompilerState, Extractor, ExtractorConfig } from '@microsoft/api-extractor';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const check = process.argv.includes('--check');
const folder = join(root, 'docs', 'api');
const problems = [];

// Inside the project, so that the declarations find the packages that they import.
mkdirSync(join(root, '.data'), { recursive: true });
const scratch = mkdtempSync(join(root, '.data', 'api-'));
try {
  compareAll(reports());
} finally {
  rmSync(scratch, { recursive: true });
}
for (const problem of new Set(problems)) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

/** The text of each report, by file name. */
function reports() {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const options = ['-p', 'tsconfig.build.json', '--outDir', scratch, '--declarationMap'];
  execFileSync(process.execPath, [tsc, ...options], { cwd: root, stdio: 'inherit' });
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const entries = Object.entries(exports).flatMap(([name, { import: target }]) =>
    target === undefined ? [] : [{ name, types: join(scratch, target.types.replace('./dist/esm/', '')) }],
  );
  const configs = entries.map(({ name, types }) => configOf(nameOf(name), types));
  const compilerState = CompilerState.create(configs[0], { additionalEntryPoints: entries.map(({ types }) => types) });
  for (const config of configs) Extractor.invoke(config, { compilerState, localBuild: true, messageCallback });
  return new Map(
    entries.map(({ name }) => [
      `${nameOf(name)}.api.md`,
      readFileSync(join(scratch, `${nameOf(name)}.api.md`), 'utf8'),
    ]),
  );
}

function nameOf(entry) {
  return entry === '.' ? 'index' : entry.slice(2).replaceAll('/', '-');
}

function configOf(name, mainEntryPointFilePath) {
  const off = { logLevel: 'none' };
  return ExtractorConfig.prepare({
    packageJsonFullPath: join(root, 'package.json'),
    configObjectFullPath: undefined,
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath,
      newlineKind: 'lf',
      enumMemberOrder: 'preserve',
      compiler: { tsconfigFilePath: join(root, 'tsconfig.build.json') },
      apiReport: {
        enabled: true,
        reportFileName: `${name}.api.md`,
        reportFolder: scratch,
        reportTempFolder: join(scratch, 'temp'),
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: off },
        // Everything that is exported is public. What other entry points export is no oversight.
        extractorMessageReporting: {
          default: off,
          'ae-undocumented': { logLevel: 'error', addToApiReportFile: false },
        },
        tsdocMessageReporting: { default: off },
      },
    },
  });
}

function messageCallback(message) {
  message.handled = true;
  if (message.messageId !== 'ae-undocumented') return;
  const { sourceFilePath: file = '', sourceFileLine: line = 1, text } = message;
  // An override has the comment of the member that it overrides, also in an editor.
  if (/\boverride\b/.test(readFileSync(file, 'utf8').split('\n')[line - 1] ?? '')) return;
  problems.push(`${relative(root, file)}:${line}: ${text}`);
}

function compareAll(texts) {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of texts) {
    const file = join(folder, name);
    if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
    if (check) problems.push(`docs/api/${name} is out of date: npm run api:update, and commit it`);
    else writeFileSync(file, text);
  }
  for (const name of readdirSync(folder).filter((name) => name.endsWith('.api.md') && !texts.has(name))) {
    if (check) problems.push(`docs/api/${name} belongs to no entry point: npm run api:update`);
    else rmSync(join(folder, name));
  }
}
