import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { banned, commentsOf, complaints, isSuspicious, testNamesOf, type Prose } from './support/prose.js';
import { filesUnder, root } from './support/project.js';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const found = (paths: string[], prose: (path: string, text: string) => Prose[], rules?: typeof banned): string[] =>
  paths.flatMap((path) => {
    const text = read(path);
    return isSuspicious(text) ? complaints(path, prose(path, text), rules) : [];
  });
const sources = (...folders: string[]): string[] =>
  folders
    .flatMap((folder) => filesUnder(join(root, folder)).map((file) => `${folder}/${file}`))
    .filter((path) => /\.(ts|mjs)$/.test(path) && !path.includes('node_modules'));

const published = sources('src', 'collectors', 'distributed', 'cli');
const tests = sources('test');
const others = sources('examples', 'bench', 'scripts');
const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md']
  .concat(
    filesUnder(join(root, 'docs')).map((file) => `docs/${file}`),
    filesUnder(join(root, 'bench')).map((file) => `bench/${file}`),
  )
  .filter((path) => path.endsWith('.md') && !path.includes('node_modules'));

describe('plain English', () => {
  test('in the comments of everything that is published', () => {
    expect(found(published, commentsOf)).toEqual([]);
  });

  test('in the other comments', () => {
    expect(found([...tests, ...others], commentsOf, banned)).toEqual([]);
  });

  test('in the names of tests', () => {
    expect(found(tests, testNamesOf)).toEqual([]);
  });

  test.each([
    ['// Of the batch that runs.', /"Of": begin the sentence/],
    ['/** The batch. What it holds is flushed. */', /"\. What": begin/],
    ['/**\n * Calls that nobody\n * waits for.\n */', /"nobody": name the actor/],
    ['f(/* is told */);', /"told": functions are called/],
  ])('is not %j', (text, complaint) => {
    expect(complaints('x.ts', commentsOf('x.ts', text))).toEqual([expect.stringMatching(complaint)]);
  });

  test('strings are no comments, and names of tests are no code', () => {
    expect(commentsOf('x.ts', "const a = '// told'; const b = `/* told */`; const c = /told/;")).toEqual([]);
    expect(testNamesOf('x.test.ts', "describe('a', () => { test.each([1])(`b ${1}`, f); told('c'); });")).toEqual([
      { line: 1, text: 'a' },
      { line: 1, text: 'b ${1}' },
    ]);
  });
});

describe('documents', () => {
  test('that a comment or the name of a test mentions are in the repository', () => {
    const known = new Set(pages.map((path) => basename(path)));
    const paths = [...published, ...tests, ...others].filter((path) => /\w\.md\b/.test(read(path)));
    const unknown = paths.flatMap((path) =>
      [...commentsOf(path, read(path)), ...testNamesOf(path, read(path))].flatMap(({ line, text }) =>
        [...text.matchAll(/[\w-]+\.md\b/g)]
          .filter(([name]) => !known.has(name))
          .map(([name]) => `${path}:${line}: ${name}`),
      ),
    );
    expect(unknown).toEqual([]);
  });

  test('link to files that exist', () => {
    const broken = pages.flatMap((path) =>
      [...read(path).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
        .filter(([, target]) => !existsSync(join(root, dirname(path), target ?? '')))
        .map(([, target]) => `${path}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  test('name files and folders of the project that exist', () => {
    const described = ['CONTRIBUTING.md', 'docs/architecture.md', 'docs/guarantees.md', 'docs/performance.md'].concat(
      pages.filter((path) => path.startsWith('docs/decisions/')),
    );
    const missing = described.flatMap((path) =>
      [...read(path).matchAll(/`((?:src|collectors|distributed|cli|test|bench|docs|scripts|examples)\/[\w./*-]*)`/g)]
        .filter(([, name]) => !existsSync(join(root, (name ?? '').replace(/\*.*$/, ''))))
        .map(([, name]) => `${path}: ${name}`),
    );
    expect(missing).toEqual([]);
  });
});

describe('the guarantees', () => {
  /** The rows of the tables: number, and the files that are said to prove it. */
  const rows = [...read('docs/guarantees.md').matchAll(/^\| ([AG]\d+) \|.*\| ([^|]*) \|$/gm)].map(
    ([, number, proof]) => ({
      number: number ?? '',
      files: [...(proof ?? '').matchAll(/`(test\/[^`]+)`/g)].map(([, file]) => file ?? ''),
    }),
  );
  const citations = (text: string): string[] => [...text.matchAll(/\b[AG]\d{1,2}\b/g)].map(([number]) => number);

  test('are A1 to A12 and G1 to G21', () => {
    const upTo = (letter: string, last: number) => Array.from({ length: last }, (_, i) => `${letter}${i + 1}`);
    expect(rows.map(({ number }) => number)).toEqual([...upTo('A', 12), ...upTo('G', 21)]);
  });

  test.each(rows)('$number: each file that is named as its proof cites it', ({ number, files }) => {
    expect(files.length).toBeGreaterThan(0);
    expect(files.filter((file) => !citations(read(file)).includes(number))).toEqual([]);
  });

  test('that the name of a test cites exist', () => {
    const known = new Set(rows.map(({ number }) => number));
    const cites = (path: string) => citations(read(path)).some((number) => !known.has(number));
    const unknown = tests.filter(cites).flatMap((path) =>
      testNamesOf(path, read(path)).flatMap(({ line, text }) =>
        citations(text)
          .filter((number) => !known.has(number))
          .map((number) => `${path}:${line}: ${number}`),
      ),
    );
    expect(unknown).toEqual([]);
  });
});
