import ts from 'typescript';
import type { Sources } from './layers.js';

/** Limits in lines, and what still exceeds them. */
export interface Budget {
  file: number;
  function: number;
  /** Today's length of each file above the limit, by path. It only goes down. */
  longFiles: Readonly<Record<string, number>>;
  /** Today's length of each function above the limit, by `path: name`. It only goes down. */
  longFunctions: Readonly<Record<string, number>>;
}

/** One sentence for each excess, and for each exception that could be lower or is not needed any more. */
export function excesses(sources: Sources, budget: Budget): string[] {
  const files: [string, number][] = [];
  const functions: [string, number][] = [];
  for (const [path, text] of sources) {
    files.push([path, linesOf(text)]);
    for (const { name, lines } of functionsOf(path, text)) functions.push([`${path}: ${name}`, lines]);
  }
  return [
    ...compare(files, budget.file, budget.longFiles),
    ...compare(functions, budget.function, budget.longFunctions),
  ];
}

function compare(found: [string, number][], limit: number, exceptions: Readonly<Record<string, number>>): string[] {
  const wrong: string[] = [];
  const used = new Set<string>();
  for (const [name, lines] of found) {
    const exception = exceptions[name];
    if (lines <= limit) continue;
    used.add(name);
    if (exception === undefined) wrong.push(`${name} has ${lines} lines, and the limit is ${limit}: split it`);
    else if (lines > exception) wrong.push(`${name} has ${lines} lines, and had ${exception}: it only gets shorter`);
    else if (lines < exception) wrong.push(`${name} has ${lines} lines: lower its exception from ${exception}`);
  }
  for (const name of Object.keys(exceptions)) {
    if (!used.has(name)) wrong.push(`${name} keeps the limit of ${limit}, or is not there: remove its exception`);
  }
  return wrong;
}

/** As `wc -l` counts. */
export function linesOf(text: string): number {
  return text.trimEnd().split('\n').length;
}

/** Every function with a body, from its first word to its closing brace; functions within it count towards it. */
export function functionsOf(path: string, text: string): { name: string; lines: number }[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
  const found: { name: string; lines: number }[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
      const line = (position: number): number => source.getLineAndCharacterOfPosition(position).line;
      found.push({ name: nameOf(node, source), lines: line(node.end) - line(node.getStart()) + 1 });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function nameOf(node: ts.SignatureDeclaration, source: ts.SourceFile): string {
  if (node.name !== undefined) return node.name.getText(source);
  if (ts.isConstructorDeclaration(node)) return 'constructor';
  const { parent } = node;
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent) || ts.isPropertyDeclaration(parent)) {
    return parent.name.getText(source);
  }
  return `function in line ${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
}
