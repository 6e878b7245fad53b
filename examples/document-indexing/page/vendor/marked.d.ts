// Of the package `marked`, as far as the page uses it: the server sends the package's own file at this address.

export interface Token {
  type: string;
  raw: string;
  text?: string;
  tokens?: Token[];
  items?: Token[];
  href?: string;
  ordered?: boolean;
  start?: number | '';
  header?: Token[];
  rows?: Token[][];
}

export function lexer(markdown: string): Token[];
export const Lexer: { lexInline(markdown: string): Token[] };
