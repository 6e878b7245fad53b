import ts from 'typescript';

/** A comment or the name of a test. */
export interface Prose {
  line: number;
  /** On one line, without the marks of a comment. */
  text: string;
}

/** Every comment of a file. */
export function commentsOf(path: string, text: string): Prose[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
  const ends = new Map<number, number>();
  const add = (ranges: ts.CommentRange[] | undefined): void => {
    for (const { pos, end } of ranges ?? []) ends.set(pos, end);
  };
  const visit = (node: ts.Node): void => {
    add(ts.getLeadingCommentRanges(text, node.pos));
    add(ts.getTrailingCommentRanges(text, node.end));
    // Tokens as well: a comment may stand before a bracket.
    for (const child of node.getChildren(source)) visit(child);
  };
  visit(source);
  return [...ends].map(([start, end]) => ({
    line: source.getLineAndCharacterOfPosition(start).line + 1,
    text: plain(text.slice(start, end)),
  }));
}

function plain(comment: string): string {
  return comment
    .replace(/^\/\*\*?|\*\/$|^\/\//g, '')
    .replace(/\n\s*\*?/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

/** The names of tests and groups of tests in a file. */
export function testNamesOf(path: string, text: string): Prose[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
  const found: Prose[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && /^(test|describe|it)\b/.test(node.expression.getText(source))) {
      const [name] = node.arguments;
      if (name !== undefined && (ts.isStringLiteralLike(name) || ts.isTemplateExpression(name))) {
        found.push({
          line: source.getLineAndCharacterOfPosition(name.getStart()).line + 1,
          text: name.getText(source).slice(1, -1),
        });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** Words that hide who does what, and what to write. */
export const banned: readonly (readonly [words: RegExp, instead: string])[] = [
  [/\b(told|tells?|telling)\b/i, 'functions are called, events emitted, errors passed or reported'],
  [/\bgather(s|ed|ing)?\b/i, 'queues hold, items are queued'],
  [/\bway in\b|\bon (the|its|their) way\b/i, 'name the step: waits, is being added, is being written'],
  [/\bpatience\b/i, 'a timeout, a limit'],
  [/\bearlier li(fe|ves)\b/i, 'an earlier process'],
  [
    /\b(whoever|somebody|someone|nobody|anybody|everybody)\b/i,
    'name the actor: the caller, another process, no listener',
  ],
  [/\bgone\b/i, 'removed, left, ended'],
  [/\bheard\b/i, 'handled, reported'],
];

/** For text that is read without the code beside it. */
const opening: (typeof banned)[number] = [/(^|[.!?] )(What|Of)\b/, 'begin the sentence with its subject'];

/** Whether a look at the comments and names of a file is worth the time. */
export function isSuspicious(text: string): boolean {
  return /\b(What|Of)\b/.test(text) || banned.some(([words]) => words.test(text));
}

/** One sentence for each word that is not plain English. */
export function complaints(
  path: string,
  prose: readonly Prose[],
  rules: typeof banned = [...banned, opening],
): string[] {
  return prose.flatMap(({ line, text }) =>
    rules.flatMap(([words, instead]) => {
      const word = words.exec(text)?.[0].trim();
      return word === undefined ? [] : [`${path}:${line}: "${word}": ${instead}`];
    }),
  );
}
