const AROUND = 90;

/** A piece of a document as text: without the marks of Markdown, around what was looked for. */
export function excerptOf(headline: string, content: string, literals: readonly string[]): string {
  const excerpt = plainText(headline);
  const [first] = literals;
  if (first === undefined || excerpt.toLowerCase().includes(first.toLowerCase())) return excerpt;
  const all = plainText(content);
  const at = all.toLowerCase().indexOf(first.toLowerCase());
  return at < 0 ? excerpt : all.slice(Math.max(0, at - AROUND), at + first.length + AROUND);
}

/** What a reader of the rendered document sees, roughly. */
export function plainText(markdown: string): string {
  return (
    markdown
      // Fences, with the language after them.
      .replace(/(`{3,}|~{3,})[\w-]*/g, ' ')
      // A target may have parentheses of its own.
      .replace(/!?\[([^\]]*)\]\((?:[^()]|\([^()]*\))*\)/g, '$1')
      .replace(/!?\[([^\]]*)\]\[[^\]]*\]/g, '$1')
      .replace(/<\/?[a-z][^>]*>/gi, ' ')
      .replace(/(^|\s)[#>|*+-]+(?=\s|$)/g, '$1')
      .replace(/\*\*|__|`/g, '')
      .replace(/(^|\s)\*(\S[^*]*)\*(?=\s|$)/g, '$1$2')
      .replace(/\s+/g, ' ')
      .trim()
  );
}
