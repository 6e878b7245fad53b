import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { filesUnder, manifest, root, run, type Outcome } from './support/project.js';
import { blocksOf, checkTypes, promisedOutput, wrongCommands, type Block, type Commands } from './support/readme.js';

/** Languages of blocks that are there to be read only. */
const notRun: ReadonlySet<string> = new Set(['text', 'elixir']);

/** An example that takes longer is a bad example, or one that never ends. */
const limit = 20_000;

const path = join(root, 'README.md');
const markdown = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
const blocks = markdown === undefined ? [] : blocksOf(markdown);
const inLanguage = (...languages: string[]): [name: string, block: Block][] =>
  blocks
    .filter(({ language }) => languages.includes(language))
    .map((block) => [`at line ${String(block.line)}: ${block.code.trimStart().split('\n')[0] ?? ''}`, block]);
const typescript = inLanguage('ts', 'typescript');
const programs = [...typescript, ...inLanguage('js', 'javascript')];
const shell = inLanguage('sh', 'bash', 'shell');

// Below the project, so that an example finds its packages; what is in .data is nobody's source.
mkdirSync(join(root, '.data'), { recursive: true });
const folder = mkdtempSync(join(root, '.data', 'readme-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a block as a reader would, with the sources in place of the installed package. */
function execute({ code, language, line }: Block): Promise<Outcome> {
  const commonjs = language.startsWith('j') && /\brequire\(/.test(code);
  const extension = commonjs ? 'cjs' : language.startsWith('j') ? 'mjs' : 'mts';
  const file = join(folder, `line-${String(line)}.${extension}`);
  writeFileSync(file, code);
  const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs');
  return run(process.execPath, [tsx, '--tsconfig', join(root, 'tsconfig.json'), file], folder, limit);
}

/** What is wrong with a run; an empty list if it kept its promises. */
function complaints({ code }: Block, outcome: Outcome): string[] {
  const lines = outcome.stdout.split('\n');
  const missing = promisedOutput(code).filter((text) => !lines.some((line) => line.includes(text)));
  const ended = outcome.code === 0 ? [] : [`ended with ${String(outcome.code)}: ${outcome.stderr}`];
  return [...ended, ...missing.map((text) => `did not print "${text}" but:\n${outcome.stdout}`)];
}

describe('README.md', () => {
  test('exists and has code to try', () => {
    if (markdown === undefined) throw new Error('README.md is missing: it is the first page a user sees.');
    expect(typescript.length).toBeGreaterThan(0);
    expect(shell.length).toBeGreaterThan(0);
  });

  test('has only blocks that are run, or of a language that is allowed not to be', () => {
    const tried = [...programs, ...shell].map(([, block]) => block);
    const left = blocks.filter((block) => !tried.includes(block) && !notRun.has(block.language));
    expect(left.map(({ language, line }) => `line ${String(line)}: "${language}"`)).toEqual([]);
  });

  test('links to files that exist', () => {
    const targets = [...(markdown ?? '').matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, target = '']) => target);
    const local = targets.filter((target) => !/^[a-z]+:/.test(target));
    expect(local.filter((target) => !existsSync(join(root, target)))).toEqual([]);
  });

  const types = checkTypes(
    root,
    typescript.map(([, block]) => block),
  );
  // Loops, since `test.each` fails on an empty list, which would hide that the README is missing.
  for (const [name, block] of typescript) {
    test(`has the right types ${name}`, () => {
      expect(types.get(block)).toEqual([]);
    });
  }
  for (const [name, block] of programs) {
    const body = async (): Promise<void> => {
      expect(complaints(block, await execute(block))).toEqual([]);
    };
    test(`runs ${name}`, body, limit + 5_000);
  }

  const example = join(root, 'examples', 'document-indexing');
  const { scripts, bin = {} } = manifest();
  const sources = filesUnder(example).filter((file) => file.endsWith('.ts'));
  const commands: Commands = {
    scripts,
    bin,
    startSource: sources.map((file) => readFileSync(join(example, file), 'utf8')).join('\n'),
  };
  for (const [name, block] of shell) {
    test(`names commands that exist ${name}`, () => {
      expect(wrongCommands(block.code, commands)).toEqual([]);
    });
  }
});

describe('the README checker', () => {
  const block = (code: string, language = 'ts', line = 1): Block => ({ language, line, code });

  test('finds blocks, also in lists and with fences inside', () => {
    const text = ['# x', '```ts', 'a', '```', '1. y', '   ````md title', '   ```sh', '   ```', '     b', '   ````'];
    expect(blocksOf(text.join('\n'))).toEqual([
      { language: 'ts', line: 3, code: 'a\n' },
      { language: 'md', line: 7, code: '```sh\n```\n  b\n' },
    ]);
    expect(() => blocksOf('x\n```ts\na')).toThrow('line 2 is never closed');
  });

  test('catches a wrong type, a name of another block and a wrong option, at the right line', () => {
    const first = block('export const n: number = 1;\n', 'ts', 10);
    const second = block(
      "import { MemoryBatcher } from 'batch-please/collectors';\nnew MemoryBatcher({ maxBatchSise: 2 });\nn;\n",
      'ts',
      20,
    );
    const problems = checkTypes(root, [first, second]);
    expect(problems.get(first)).toEqual([]);
    expect(problems.get(second)).toEqual([
      expect.stringMatching(/^README\.md:21 .*maxBatchSise/s),
      expect.stringMatching(/^README\.md:22 Cannot find name 'n'/),
    ]);
  }, 120_000);

  test('runs ES modules, CommonJS and TypeScript against the sources', async () => {
    const print = 'console.log(typeof BatchPlease); // → function\n';
    const imported = `import { BatchPlease } from 'batch-please';\nawait 0;\n${print}`;
    const required = `const { BatchPlease } = require('batch-please');\n${print}`;
    for (const example of [block(imported), block(imported, 'js', 2), block(required, 'js', 3)]) {
      expect(complaints(example, await execute(example))).toEqual([]);
    }
  }, 600_000);

  test('catches a failing program and a broken promise about its output', async () => {
    const example = block("console.log('three'); // → four\nthrow new Error('broken');\n", 'ts', 4);
    expect(complaints(example, await execute(example))).toEqual([
      expect.stringMatching(/^ended with 1: .*broken/s),
      'did not print "four" but:\nthree\n',
    ]);
  }, 120_000);

  test('catches commands that do not exist', () => {
    const known: Commands = {
      scripts: { start: '', test: '' },
      bin: { 'batch-please': '' },
      startSource: "'--query <q>'",
    };
    const good =
      '$ npm install # all\nnpm install batch-please\nA=b npm start -- \\\n  --query x\nnpm test\nnpx batch-please\n';
    expect(wrongCommands(good, known)).toEqual([]);
    expect(wrongCommands('npm run strat\nrm -rf x\nnpm start -- --querry x\n', known)).toEqual([
      expect.stringContaining('npm run strat'),
      expect.stringContaining('rm -rf x'),
      expect.stringContaining('no option --querry'),
    ]);
  });
});
