import { posix } from 'node:path';
import ts from 'typescript';

/** Path from the root of the project (`src/index.ts`) → source text. */
export type Sources = ReadonlyMap<string, string>;

interface Layer {
  name: string;
  holds: RegExp;
  /** The layers it may import from, besides itself. */
  imports: readonly string[];
  /** Bare module names it may import. */
  modules: RegExp;
}

const none = /^(?!)/;
// A dependency has one owner, which is a file of `src`; what is outside may use Node and whatever the package declares.
const anyButOwned = /^(?!(mitt|zod)($|\/))/;

/** From left to right: each imports only from those to its right. `errors` imports nothing, so all may use it. */
const below = ['events', 'options', 'core', 'read-only', 'errors'];
const layers: readonly Layer[] = [
  { name: 'cli', holds: /^cli\//, imports: ['collectors', 'index'], modules: anyButOwned },
  { name: 'distributed', holds: /^distributed\//, imports: ['collectors', 'index'], modules: anyButOwned },
  { name: 'collectors', holds: /^collectors\//, imports: ['index'], modules: anyButOwned },
  { name: 'streams', holds: /^src\/streams\//, imports: ['index'], modules: anyButOwned },
  { name: 'opentelemetry', holds: /^src\/opentelemetry\//, imports: ['index'], modules: anyButOwned },
  { name: 'testing', holds: /^src\/testing\.ts$/, imports: ['core', 'errors'], modules: none },
  { name: 'index', holds: /^src\/index\.ts$/, imports: ['collector', 'serving', 'server', ...below], modules: none },
  { name: 'collector', holds: /^src\/collector\//, imports: below, modules: none },
  { name: 'serving', holds: /^src\/serving\//, imports: below, modules: none },
  { name: 'server', holds: /^src\/server\//, imports: below, modules: none },
  { name: 'events', holds: /^src\/events\.ts$/, imports: ['options', 'core', 'errors'], modules: /^mitt$/ },
  { name: 'options', holds: /^src\/options\//, imports: ['core', 'errors'], modules: /^zod(\/mini)?$/ },
  { name: 'core', holds: /^src\/core\//, imports: ['errors'], modules: none },
  { name: 'read-only', holds: /^src\/read-only\.ts$/, imports: [], modules: none },
  { name: 'errors', holds: /^src\/errors\.ts$/, imports: [], modules: none },
];

/** Everything a file names as a module: imports, re-exports, `import()`, `import('x').T`, `require()`. */
export function importsOf(path: string, text: string): string[] {
  const found: string[] = [];
  const add = (node: ts.Node | undefined): void => {
    if (node && ts.isStringLiteralLike(node)) found.push(node.text);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier);
    else if (ts.isExternalModuleReference(node)) add(node.expression);
    else if (ts.isImportTypeNode(node)) add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined);
    else if (ts.isCallExpression(node) && isLoader(node.expression)) add(node.arguments[0]);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.ES2022));
  return found;
}

function isLoader(callee: ts.Expression): boolean {
  return callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === 'require');
}

/** One sentence for each import that breaks the architecture; an empty list is a sound project. */
export function violations(sources: Sources, declared: ReadonlySet<string> = new Set()): string[] {
  const wrong: string[] = [];
  const graph = new Map<string, string[]>();
  for (const [path, text] of sources) {
    const layer = layerOf(path);
    const targets: string[] = [];
    graph.set(path, targets);
    if (!layer) {
      wrong.push(`${path} belongs to no layer: name it after one, or add it to test/support/layers.ts`);
      continue;
    }
    for (const specifier of importsOf(path, text)) {
      if (!specifier.startsWith('.')) {
        const problem = checkModule(layer, specifier, declared);
        if (problem) wrong.push(`${path} imports ${specifier}: ${problem}`);
        continue;
      }
      const target = posix.join(posix.dirname(path), specifier.replace(/\.js$/, '.ts'));
      if (!specifier.endsWith('.js') || !sources.has(target)) {
        wrong.push(`${path} imports ${specifier}: there is no such source file (the path ends in .js)`);
        continue;
      }
      targets.push(target);
      const from = layerOf(target);
      const allowed = from === layer || (from && layer.imports.includes(from.name));
      if (!allowed) wrong.push(`${path} imports ${target}: ${layer.name} may not use ${from?.name ?? 'it'}`);
    }
  }
  return [...wrong, ...cycles(graph)];
}

function layerOf(path: string): Layer | undefined {
  return layers.find((layer) => layer.holds.test(path));
}

function checkModule(layer: Layer, specifier: string, declared: ReadonlySet<string>): string | undefined {
  if (!layer.modules.test(specifier)) return `${layer.name} may not use it`;
  if (specifier.startsWith('node:')) return undefined;
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  return declared.has(name) ? undefined : 'package.json does not declare it for those who install the package';
}

/** Type-only imports count: two files that need each other's types are one idea in two places. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const walk = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) found.push(`cycle: ${[...trail.slice(start), path].join(' → ')}`);
    if (start >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) walk(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) walk(path, []);
  return found;
}
