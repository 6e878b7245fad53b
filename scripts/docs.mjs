// Builds the documentation site in site/: the guide, and the reference of everything that the package exports. Fails on a
// link that leads nowhere.
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application, Converter, ReflectionKind } from 'typedoc';
import { deadLinks } from './dead-links.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const site = join(root, 'site');
const copies = join(root, '.data', 'docs');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const markdownIn = (folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => posix.join(folder, name));
/** In the order of the index, which a test holds to name them all. */
const index = readFileSync(join(root, 'docs/guide/README.md'), 'utf8');
const guide = [...new Set([...index.matchAll(/\]\(([\w-]+\.md)/g)].map(([, name]) => `docs/guide/${name}`))];
const examples = readdirSync(join(root, 'examples')).map((name) => `examples/${name}/README.md`);

/** Pages by the group that they stand in, in the order of the navigation. */
const groups = {
  Guide: ['docs/guide/README.md', ...guide],
  Examples: examples.filter((page) => existsSync(join(root, page))),
  Inside: [
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    ...markdownIn('docs'),
    ...markdownIn('docs/decisions'),
    'bench/README.md',
  ],
};

/** Copies a page under its own path, with what TypeDoc wants to know of it at its head. */
function copy(page, group) {
  const text = readFileSync(join(root, page), 'utf8');
  const title = /^# (.+)$/m.exec(text)?.[1] ?? page;
  const head =
    group === undefined ? '' : `---\ntitle: ${JSON.stringify(title.replaceAll('`', ''))}\ngroup: ${group}\n---\n\n`;
  const target = join(copies, page);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, head + withFiles(text, page));
}

/** Brings along the pictures of a page; a link to a folder or a source file is none on the site, which has neither. */
function withFiles(text, page) {
  return text.replace(/(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)/g, (link, image, label, target) => {
    const file = posix.join(posix.dirname(page), target);
    if (image === '' && !target.endsWith('.md')) return label;
    if (image === '!' && existsSync(join(root, file))) {
      mkdirSync(dirname(join(copies, file)), { recursive: true });
      cpSync(join(root, file), join(copies, file));
    }
    return link;
  });
}

rmSync(copies, { recursive: true, force: true });
rmSync(site, { recursive: true, force: true });
copy('README.md', undefined);
for (const [group, pages] of Object.entries(groups)) for (const page of pages) copy(page, group);

/** The source behind each import, by what a program writes to import it. */
const imports = new Map();
for (const [subpath, conditions] of Object.entries(manifest.exports)) {
  const file = conditions.import?.default?.replace('./dist/esm/', '').replace(/\.js$/, '.ts');
  if (file !== undefined) imports.set(file, posix.join(manifest.name, subpath));
}

const app = await Application.bootstrap({
  name: manifest.name,
  entryPoints: [...imports.keys()].map((file) => join(root, file)),
  tsconfig: join(root, 'tsconfig.json'),
  out: site,
  readme: join(copies, 'README.md'),
  projectDocuments: Object.values(groups)
    .flat()
    .map((page) => join(copies, page)),
  basePath: root,
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  excludeProtected: false,
  includeVersion: true,
  githubPages: false,
  searchInDocuments: true,
  searchInComments: true,
  // Documents in the order above.
  sort: ['source-order'],
  groupOrder: ['Guide', 'Reference', 'Examples', 'Inside', '*'],
  customCss: join(root, 'scripts', 'docs.css'),
  hideGenerator: true,
  locales: { en: { kind_plural_module: 'Reference' } },
  headings: { readme: false, document: false },
  sortEntryPoints: false,
  navigation: { includeGroups: true, includeFolders: false },
  skipErrorChecking: true,
  validation: { notExported: false, invalidLink: true, rewrittenLink: true, notDocumented: false },
});
// TypeDoc calls a module by its path.
app.converter.on(Converter.EVENT_CREATE_DECLARATION, (_context, reflection) => {
  if (reflection.kind !== ReflectionKind.Module) return;
  for (const [file, name] of imports) {
    if (file.replace(/(\/index)?\.ts$/, '') === reflection.name) reflection.name = name;
  }
});
const project = await app.convert();
if (project === undefined) process.exit(1);
app.validate(project);
await app.generateOutputs(project);
const dead = deadLinks(site);
for (const { page, link, why } of dead) console.error(`${page}: ${link} ${why}`);
if (dead.length > 0 || app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1);
