import { existsSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { root } from './project.js';

export interface Block {
  /** What the fence names: `ts`, `sh`; empty if nothing. */
  language: string;
  /** The page that it is in, relative to the project. */
  page: string;
  /** Where its first line of code is in the page, counted from 1. */
  line: number;
  code: string;
}

/** The fenced code blocks of a Markdown text, in order; indented fences (in lists) lose their indentation. */
export function blocksOf(markdown: string, page = 'README.md'): Block[] {
  const blocks: Block[] = [];
  let open: { fence: string; indent: number; block: Block } | undefined;
  for (const [index, line] of markdown.split(/\r?\n/).entries()) {
    const [, indent = '', fence = '', info = ''] = /^(\s*)(`{3,}|~{3,})(.*)$/.exec(line) ?? [];
    if (open) {
      if (fence.startsWith(open.fence) && info.trim() === '') open = undefined;
      else open.block.code += line.slice(Math.min(open.indent, line.length - line.trimStart().length)) + '\n';
    } else if (fence !== '') {
      const block = { language: info.trim().split(/\s/)[0] ?? '', page, line: index + 2, code: '' };
      blocks.push(block);
      open = { fence, indent: indent.length, block };
    }
  }
  if (open) throw new Error(`The code block at line ${String(open.block.line - 1)} of ${page} is never closed.`);
  return blocks;
}

/** The convention for output: a line that ends in `// → text` promises that some line printed contains the text. */
export function promisedOutput(code: string): string[] {
  return [...code.matchAll(/\/\/ → (.+?)\s*$/gm)].map(([, text = '']) => text);
}

/** Type-checks the blocks in one program, each as a module of its own at the root of the project: problems per block. */
export function checkTypes(root: string, blocks: readonly Block[]): Map<Block, string[]> {
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.convertCompilerOptionsFromJson(
    (config.config as { compilerOptions: unknown }).compilerOptions,
    root,
  );
  // `paths` are relative to the configuration they stand in.
  Object.assign(options, { pathsBasePath: root });
  // These are habits of our sources, not of a reader: an example may declare what it does not use, and leave out `override`.
  Object.assign(options, { noUnusedLocals: false, noUnusedParameters: false, noImplicitOverride: false });
  options.moduleDetection = ts.ModuleDetectionKind.Force;
  options.types = ['node'];

  const byName = new Map(blocks.map((block) => [join(root, `${nameOf(block)}.ts`), block]));
  const host = ts.createCompilerHost(options);
  const [fileExists, readFile] = [host.fileExists.bind(host), host.readFile.bind(host)];
  host.fileExists = (path) => byName.has(path) || fileExists(path);
  host.readFile = (path) => byName.get(path)?.code ?? readFile(path);
  host.getSourceFile = (path, target) => {
    const text = host.readFile(path);
    return text === undefined ? undefined : ts.createSourceFile(path, text, target);
  };
  host.getCurrentDirectory = () => root;
  const program = ts.createProgram({ rootNames: [...byName.keys()], options, host });
  return new Map(
    [...byName].map(([path, block]) => {
      const file = program.getSourceFile(path);
      const problems = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
      return [block, problems.map((problem) => describe(problem, block))];
    }),
  );
}

/** A file name for a block that no other block has. */
export function nameOf({ page, line }: Block): string {
  return `${page.replaceAll('/', '-')}-line-${String(line)}`;
}

/** The targets of the links of a Markdown text that lead to files of the project; code blocks are no links. */
export function linkedFiles(markdown: string): { target: string; anchor: string | undefined }[] {
  const text = markdown.replace(/^\s*(`{3,})[^]*?^\s*\1\s*$/gm, '').replace(/`[^`\n]*`/g, '');
  return [...text.matchAll(/\]\(([^)#\s]*)(?:#([^)\s]+))?[^)]*\)/g)]
    .map(([, target = '', anchor]) => ({ target, anchor }))
    .filter(({ target }) => !/^[a-z]+:/.test(target));
}

/** The anchors of the headings of a Markdown text, as the usual renderers make them. */
export function anchorsOf(markdown: string): string[] {
  const text = markdown.replace(/^\s*(`{3,})[^]*?^\s*\1\s*$/gm, '');
  return [...text.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}

function describe(problem: ts.Diagnostic, block: Block): string {
  const line = problem.file?.getLineAndCharacterOfPosition(problem.start ?? 0).line ?? 0;
  return `${block.page}:${String(block.line + line)} ${ts.flattenDiagnosticMessageText(problem.messageText, '\n')}`;
}

/** What a reader may be asked to type that is no script of ours. */
const plainCommands = [
  /^npm (install|ci)$/,
  /^npm install (--save-dev )?batch-please$/,
  /^cd [\w./-]+$/,
  /^git clone \S+$/,
  /^export [A-Z_]+=\S+( [A-Z_]+=\S+)*$/,
  /^esbuild( (--)?[\w./=-]+)+$/,
];

export interface Commands {
  scripts: Readonly<Record<string, string>>;
  bin: Readonly<Record<string, string>>;
  /** The sources of the program behind `npm start`. */
  startSource: string;
}

/** One sentence for each command of a shell block that a reader could not run. */
export function wrongCommands(code: string, { scripts, bin, startSource }: Commands): string[] {
  const wrong: string[] = [];
  const lines = code.replaceAll('\\\n', ' ').split('\n');
  for (const raw of lines) {
    // Without prompt, comment, what feeds it through a pipe, and variables set for the one command.
    const command = raw
      .replace(/^\s*\$ /, '')
      .replace(/(^|\s)#.*$/, '')
      .trim()
      .replace(/^[^'"]*\| (?=npx )/, '')
      .replace(/^([A-Z_]+=\S+\s+)+/, '');
    if (command === '' || plainCommands.some((pattern) => pattern.test(command))) continue;
    const [, script] = /^npm (?:run )?([\w:-]+)/.exec(command) ?? [];
    const [, binary] = /^npx ([\w@/-]+)/.exec(command) ?? [];
    if (binary !== undefined && binary in bin) continue;
    const [, source] = /^(?:node --import|npx) tsx (\S+)/.exec(command) ?? [];
    if (source !== undefined && existsSync(join(root, source))) continue;
    if (script === undefined || !(script in scripts)) {
      wrong.push(`\`${command}\` is neither a script of package.json nor in the allow-list of test/support/readme.ts`);
    } else if (script === 'start') {
      const options = command.match(/(?<=\s)--[a-z][\w-]*/g) ?? [];
      const unknown = options.filter((option) => !startSource.includes(option));
      if (unknown.length > 0) wrong.push(`\`${command}\`: the example has no option ${unknown.join(', ')}`);
    }
  }
  return wrong;
}
