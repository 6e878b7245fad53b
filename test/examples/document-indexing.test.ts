import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { indexDocuments } from '../../examples/document-indexing/indexing.js';
import { SectionTable } from '../../examples/document-indexing/section-table.js';
import { splitSections } from '../../examples/document-indexing/sections.js';
import { indexOnce } from '../support/index-once.js';

function split(...lines: string[]): [heading: string, content: string][] {
  return splitSections(lines.join('\n')).map(({ heading, content }) => [heading, content]);
}

describe('splitting a document into sections', () => {
  it('cuts at headings of every level and counts the positions', () => {
    expect(splitSections('before\n# One\na\n\n### Two ###\nb\nc\n')).toEqual([
      { position: 0, heading: '', content: 'before' },
      { position: 1, heading: 'One', content: 'a' },
      { position: 2, heading: 'Two', content: 'b\nc' },
    ]);
  });

  it('knows underlined headings, and what only looks like one', () => {
    expect(split('Title', '===', 'text', '', '- item', '---', 'two', 'lines', '---')).toEqual([
      ['Title', 'text\n\n- item\n---\ntwo\nlines\n---'],
    ]);
  });

  it('does not cut inside fenced code, whatever fences it holds', () => {
    const code = ['````sh', '# no heading', '```', '# nor this', '````'];
    expect(split('# Code', ...code, '# Next', 'text')).toEqual([
      ['Code', code.join('\n')],
      ['Next', 'text'],
    ]);
    expect(split('```not a fence```', '# Heading', 'text')).toEqual([
      ['', '```not a fence```'],
      ['Heading', 'text'],
    ]);
    expect(split('~~~', '# never closed')).toEqual([['', '~~~\n# never closed']]);
  });

  it('takes the title from front matter and leaves the rest of it out', () => {
    expect(split('---', 'title: "A page"', 'tags: x', '---', 'text')).toEqual([['A page', 'text']]);
    expect(split('---', 'no front matter')).toEqual([['', '---\nno front matter']]);
  });

  it('leaves out sections without text', () => {
    expect(split('', '# Empty', '', '## Also', '  ', '## Full', 'text')).toEqual([['Full', 'text']]);
    expect(split('')).toEqual([]);
  });

  it('keeps hashes that belong to the heading', () => {
    expect(split('## C#', 'a', '# About C# #', 'b', '#hashtag')).toEqual([
      ['C#', 'a'],
      ['About C#', 'b\n#hashtag'],
    ]);
  });

  it('reads every kind of line end', () => {
    expect(splitSections('# A\r\na\r\n# B\rb').map(({ content }) => content)).toEqual(['a', 'b']);
  });

  it('cuts a long section between paragraphs, else lines, else words, and loses no word', () => {
    for (const gap of ['\n\n', '\n', ' ']) {
      const words = Array.from({ length: 200 }, (_, i) => `word${i}`);
      const parts = splitSections(`# Long\n${words.join(gap)}`, 100);
      expect(parts.every(({ heading, content }) => heading === 'Long' && content.length <= 100)).toBe(true);
      expect(parts.flatMap(({ content }) => content.split(/\s+/))).toEqual(words);
    }
  });

  it('never cuts a character in half', () => {
    const parts = splitSections('😀'.repeat(150), 101);
    expect(parts.map(({ content }) => content).join('')).toBe('😀'.repeat(150));
    expect(parts.some(({ content }) => /\p{Surrogate}/u.test(content))).toBe(false);
  });

  it.each(['#', '`', ' ', '-', '=', '# ', '\n \n', '# #'])('takes a million times %j without slowing down', (text) => {
    // Of this process alone, whatever else keeps the machine busy.
    const before = process.cpuUsage();
    splitSections(`${text.repeat(1_000_000)}x`);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(20_000);
  });
});

describe('a database that goes away', () => {
  it('is waited for, said to be away, and gets every section once', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'document-indexing-'));
    await writeFile(join(directory, 'a.md'), '# A\ntext\n# B\ntext\n# C\ntext\n');
    const stored: unknown[] = [];
    let failures = 2;
    const table = await SectionTable.open({
      name: 'unreliable',
      query: async (sql, [ids] = []) => {
        if (!sql.includes('INSERT')) return [];
        if (failures-- > 0) throw new Error('connection \u001b[31mlost');
        stored.push(...(ids as string[]));
        return [{ added: (ids as string[]).length, present: 0, removed: 0 }];
      },
      close: async () => {},
    });
    const notes: string[] = [];
    const progress = { update: () => {}, stop: () => {}, note: (message: string) => void notes.push(message) };
    const options = { directory, limit: Infinity, batchSize: 2, batchAge: 1_000 };
    const report = await indexDocuments(table, options, progress, new AbortController().signal);
    await rm(directory, { recursive: true });

    expect(report.sections).toEqual({ added: 3, delivered: 3, undelivered: 0 });
    expect(new Set(stored).size).toBe(3);
    expect(stored).toHaveLength(3);
    expect(notes[0]).toMatch(
      /^The database failed \(connection \[31mlost\); 2 sections wait, next attempt in 0\.\d s\.$/,
    );
    expect(notes.slice(1)).toEqual([expect.stringContaining('The database failed'), 'The database answers again.']);
  });
});

it.each([
  [['--batch-size', '0'], /^document-indexing: option .* argument '0' is invalid\. It must be a whole number/],
  [['--batch-age', 'soon'], /^document-indexing: option .* argument 'soon' is invalid/],
  [['--query', ' '], /^document-indexing: option .* must not be empty/],
  [['--colour'], /^document-indexing: unknown option '--colour' \(--help lists the options\)$/m],
  [['no-such-directory'], /^document-indexing: \[directory\] must be .*: there is no 'no-such-directory'/],
  [['--data', 'package.json'], /^document-indexing: --data must be a directory .*'package.json' is a file/],
  [['--user', 'x'.repeat(61)], /^document-indexing: option .* It has at most 60 characters/],
  [['--port', '80'], /^document-indexing: option '--port' is not for --no-server/],
])('the program ends with code 2 and one line on %j', async (args, message) => {
  const { code, output, errors } = await indexOnce(args);
  expect({ code, output }).toEqual({ code: 2, output: '' });
  expect(errors).toMatch(message);
  expect(errors.trimEnd()).not.toContain('\n');
});
