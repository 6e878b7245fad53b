export interface Section {
  /** Counted from 0 within its document. */
  position: number;
  heading: string;
  content: string;
}

/** Far below what Postgres can put into one tsvector (1 MB), and about as much as a search result should stand for. */
export const MAX_CONTENT = 8_000;
const MAX_HEADING = 200;

const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/;
const HEADING = /^ {0,3}#{1,6}(?:[ \t]+(.*))?$/;
const UNDERLINE = /^ {0,3}(?:=+|-+)[ \t]*$/;
/** The start of a paragraph, and not of a list, quote, table, fence or HTML block. */
const PARAGRAPH = /^ {0,3}(?![-*+][ \t]|\d+[.)][ \t]|[>|<]|```|~~~)\S/;

/**
 * Cuts a Markdown document at its headings. Headings inside fenced code are code; front matter gives nothing but a
 * title for the text before the first heading; sections without text are left out, long ones come in several parts.
 */
export function splitSections(text: string, maxContent = MAX_CONTENT): Section[] {
  const sections: Section[] = [];
  const { title, lines } = withoutFrontMatter(text.split(/\r\n|\n|\r/));
  let heading = title;
  let body: string[] = [];
  let fence = '';
  /** Lines of the paragraph so far: an underline makes a heading of one that has a single line. */
  let paragraph = 0;

  function endSection(nextHeading: string): void {
    for (const content of parts(body.join('\n'), maxContent)) {
      sections.push({ position: sections.length, heading: clip(heading, MAX_HEADING), content });
    }
    heading = nextHeading;
    body = [];
    paragraph = 0;
  }

  for (const line of lines) {
    const marker = FENCE.exec(line);
    if (fence !== '') {
      if (marker !== null && closes(fence, marker)) fence = '';
      paragraph = 0;
      body.push(line);
    } else if (marker !== null && opens(marker)) {
      fence = marker[1] ?? '';
      body.push(line);
    } else if (HEADING.test(line)) {
      endSection(headingText(HEADING.exec(line)?.[1] ?? ''));
    } else if (paragraph === 1 && UNDERLINE.test(line) && PARAGRAPH.test(body.at(-1) ?? '')) {
      const underlined = body.pop() ?? '';
      endSection(underlined.trim());
    } else {
      paragraph = line.trim() === '' ? 0 : paragraph + 1;
      body.push(line);
    }
  }
  endSection('');
  return sections;
}

function withoutFrontMatter(lines: string[]): { title: string; lines: string[] } {
  const end =
    lines[0]?.trimEnd() === '---' ? lines.findIndex((line, i) => i > 0 && /^(---|\.\.\.)\s*$/.test(line)) : -1;
  if (end < 0) return { title: '', lines };
  const title = lines.slice(1, end).find((line) => line.startsWith('title:')) ?? '';
  return {
    title: title
      .slice('title:'.length)
      .trim()
      .replace(/^(["'])(.*)\1$/, '$2'),
    lines: lines.slice(end + 1),
  };
}

function opens([, marker = '', info = '']: RegExpExecArray): boolean {
  return marker.startsWith('~') || !info.includes('`');
}

function closes(fence: string, [, marker = '', info = '']: RegExpExecArray): boolean {
  return marker.startsWith(fence) && info.trim() === '';
}

/** Without the hashes that may close a heading. Not a pattern: it would be slow on a long row of hashes. */
function headingText(raw: string): string {
  const text = raw.trim();
  let end = text.length;
  while (text[end - 1] === '#') end -= 1;
  return end === 0 || /\s/.test(text[end - 1] ?? '') ? text.slice(0, end).trim() : text;
}

function* parts(content: string, max: number): Generator<string, void, undefined> {
  let rest = content;
  while (rest.length > 0) {
    const part = rest.length > max ? rest.slice(0, cutAt(rest, max)) : rest;
    rest = rest.slice(part.length);
    const trimmed = part.replace(/^(?:[ \t]*\n)+/, '').trimEnd();
    if (trimmed !== '') yield trimmed;
  }
}

/** Between paragraphs if that leaves a part of some size, else between lines, between words, or anywhere. */
function cutAt(text: string, max: number): number {
  for (const gap of ['\n\n', '\n', ' ']) {
    const at = text.lastIndexOf(gap, max - gap.length);
    if (at > max / 2) return at + gap.length;
  }
  return clip(text, max).length;
}

/** Never cuts a character that takes two units of UTF-16 in half. */
function clip(text: string, max: number): string {
  if (text.length <= max) return text;
  const last = text.charCodeAt(max - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? Math.max(max - 1, 1) : max);
}
