import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { filesUnder, manifest, root, type Outcome } from './support/project.js';
import { Reader } from './support/reader.js';
import {
  anchorsOf,
  blocksOf,
  checkTypes,
  linkedFiles,
  nameOf,
  promisedOutput,
  wrongCommands,
  type Block,
  type Commands,
} from './support/readme.js';

/** Languages of blocks that are there to be read only. */
const notRun: ReadonlySet<string> = new Set(['text', 'elixir']);

jest.setTimeout(300_000);

interface Page {
  /** Relative to the project. */
  path: string;
  markdown: string;
  blocks: Block[];
}

const paths = ['README.md', ...filesUnder(join(root, 'docs/guide')).map((file) => `docs/guide/${file}`)];
const pages: Page[] = paths
  .filter((path) => path.endsWith('.md') && existsSync(join(root, path)))
  .map((path) => {
    const markdown = readFileSync(join(root, path), 'utf8');
    return { path, markdown, blocks: blocksOf(markdown, path) };
  });
const isTypeScript = ({ language }: Block) => ['ts', 'typescript'].includes(language);
const isProgram = (block: Block) => isTypeScript(block) || ['js', 'javascript'].includes(block.language);
const isShell = ({ language }: Block) => ['sh', 'bash', 'shell'].includes(language);
const named = (block: Block) => `at line ${String(block.line)}: ${block.code.trimStart().split('\n')[0] ?? ''}`;

/** What is wrong with a run; an empty list if it kept its promises. */
function complaints({ code }: Block, outcome: Outcome): string[] {
  const lines = outcome.stdout.split('\n');
  const missing = promisedOutput(code).filter((text) => !lines.some((line) => line.includes(text)));
  const ended = outcome.code === 0 ? [] : [`ended with ${String(outcome.code)}: ${outcome.stderr}`];
  return [...ended, ...missing.map((text) => `did not print "${text}" but:\n${outcome.stdout}`)];
}

const example = join(root, 'examples', 'document-indexing');
const { scripts, bin = {} } = manifest();
const commands: Commands = {
  scripts,
  bin,
  startSource: filesUnder(example)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(example, file), 'utf8'))
    .join('\n'),
};
const block = (code: string, language = 'ts', line = 1): Block => ({ language, page: 'checked', line, code });
/** For the checks of the checker itself. */
const checked = {
  right: block('export const n: number = 1;\n', 'ts', 10),
  wrong: block(
    "import { MemoryBatcher } from 'batch-please/collectors';\nnew MemoryBatcher({ maxBatchSise: 2 });\nn;\n",
    'ts',
    20,
  ),
  imported: block(
    "import { BatchPlease } from 'batch-please';\nawait 0;\nconsole.log(typeof BatchPlease); // → function\n",
    'ts',
    30,
  ),
  script: block(
    "import { BatchPlease } from 'batch-please';\nconsole.log(typeof BatchPlease); // → function\n",
    'js',
    40,
  ),
  required: block(
    "const { BatchPlease } = require('batch-please');\nconsole.log(typeof BatchPlease); // → function\n",
    'js',
    50,
  ),
  failing: block("console.log('three'); // → four\nthrow new Error('broken');\n", 'ts', 60),
};

const all = [...pages.flatMap(({ blocks }) => blocks), ...Object.values(checked)];
// One program for the blocks of all pages: most of the time goes into the types that they share.
const types = checkTypes(root, all.filter(isTypeScript));
const reader = new Reader();
const outcomes = new Map<Block, Promise<Outcome>>();

beforeAll(async () => {
  const programs = all.filter(isProgram);
  await Promise.all([reader.install(), reader.write(programs)]);
  for (const program of programs) outcomes.set(program, reader.run(program));
});
afterAll(async () => {
  await Promise.allSettled(outcomes.values());
  reader.leave();
});

async function outcomeOf(program: Block): Promise<Outcome> {
  const outcome = await outcomes.get(program);
  if (outcome === undefined) throw new Error(`${nameOf(program)} has not been run`);
  return outcome;
}

test('README.md exists, has code to try, and is short', () => {
  const readme = pages.find(({ path }) => path === 'README.md');
  if (readme === undefined) throw new Error('README.md is missing: it is the first page a user sees.');
  expect(readme.blocks.filter(isTypeScript).length).toBeGreaterThan(0);
  expect(readme.blocks.filter(isShell).length).toBeGreaterThan(0);
  expect(readme.markdown.split('\n').length).toBeLessThanOrEqual(201);
});

test('the index of the guide names every page of it', () => {
  const index = pages.find(({ path }) => path === 'docs/guide/README.md');
  const linked = linkedFiles(index?.markdown ?? '').map(({ target }) => `docs/guide/${target}`);
  const guide = pages.map(({ path }) => path).filter((path) => path.startsWith('docs/') && path !== index?.path);
  expect(guide.filter((path) => !linked.includes(path))).toEqual([]);
});

describe.each(pages)('$path', ({ path, markdown, blocks }) => {
  test('has only blocks that are run, or of a language that is allowed not to be', () => {
    const left = blocks.filter((block) => !isProgram(block) && !isShell(block) && !notRun.has(block.language));
    expect(left.map(({ language, line }) => `line ${String(line)}: "${language}"`)).toEqual([]);
  });

  test('links to files, and to headings of pages, that exist', () => {
    const wrong = linkedFiles(markdown).filter(({ target, anchor }) => {
      const file = target === '' ? join(root, path) : join(root, dirname(path), target);
      if (!existsSync(file)) return true;
      return anchor !== undefined && file.endsWith('.md') && !anchorsOf(readFileSync(file, 'utf8')).includes(anchor);
    });
    expect(wrong).toEqual([]);
  });

  // Loops, since `test.each` fails on an empty list, and a page need not have code.
  for (const block of blocks.filter(isTypeScript)) {
    test(`has the right types ${named(block)}`, () => {
      expect(types.get(block)).toEqual([]);
    });
  }
  for (const block of blocks.filter(isProgram)) {
    test(`runs ${named(block)}`, async () => {
      expect(complaints(block, await outcomeOf(block))).toEqual([]);
    });
  }
  for (const block of blocks.filter(isShell)) {
    test(`names commands that exist ${named(block)}`, () => {
      expect(wrongCommands(block.code, commands)).toEqual([]);
    });
  }
});

describe('the README checker', () => {
  test('finds blocks, also in lists and with fences inside', () => {
    const text = ['# x', '```ts', 'a', '```', '1. y', '   ````md title', '   ```sh', '   ```', '     b', '   ````'];
    expect(blocksOf(text.join('\n'))).toEqual([
      { language: 'ts', page: 'README.md', line: 3, code: 'a\n' },
      { language: 'md', page: 'README.md', line: 7, code: '```sh\n```\n  b\n' },
    ]);
    expect(() => blocksOf('x\n```ts\na')).toThrow('line 2 of README.md is never closed');
  });

  test('catches a wrong type, a name of another block and a wrong option, at the right line', () => {
    expect(types.get(checked.right)).toEqual([]);
    expect(types.get(checked.wrong)).toEqual([
      expect.stringMatching(/^checked:21 .*maxBatchSise/s),
      expect.stringMatching(/^checked:22 Cannot find name 'n'/),
    ]);
  });

  test('runs ES modules, CommonJS and TypeScript against the sources', async () => {
    for (const example of [checked.imported, checked.script, checked.required]) {
      expect(complaints(example, await outcomeOf(example))).toEqual([]);
    }
  });

  test('catches a failing program and a broken promise about its output', async () => {
    expect(complaints(checked.failing, await outcomeOf(checked.failing))).toEqual([
      expect.stringMatching(/^ended with 1: .*broken/s),
      'did not print "four" but:\nthree\n',
    ]);
  });

  test('finds links outside of code, and the anchors of headings', () => {
    const text =
      '# The `x` of a-b, twice\n[a](b.md#c) [d](#e) [f](https://g.example)\n```ts\nx[0](y);\n```\n`[h](i)`\n';
    expect(linkedFiles(text)).toEqual([
      { target: 'b.md', anchor: 'c' },
      { target: '', anchor: 'e' },
    ]);
    expect(anchorsOf(text)).toEqual(['the-x-of-a-b-twice']);
  });

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
