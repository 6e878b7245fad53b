import { Cutter, type Piece } from '../../../cli/pipe/cutter.js';
import { random } from '../../../src/testing.js';

interface Cut {
  text: string;
  records: number;
  full: Piece['full'];
}

/** Batches as they come out, fed in chunks of those lengths, again and again. */
function cut(input: Buffer, lengths: readonly number[], size: number, bytes: number): Cut[] {
  const batches: Cut[] = [];
  let open: { buffers: Buffer[]; records: number; bytes: number } | undefined;
  const end = (full: Piece['full']): void => {
    if (open === undefined) return;
    batches.push({ text: Buffer.concat(open.buffers).toString('latin1'), records: open.records, full });
    open = undefined;
  };
  const cutter = new Cutter({
    separator: 10,
    size,
    bytes,
    filled: () => open ?? { records: 0, bytes: 0 },
    emit: (piece) => {
      open ??= { buffers: [], records: 0, bytes: 0 };
      open.buffers.push(...piece.buffers);
      open.records += piece.records;
      open.bytes += piece.bytes;
      expect(piece.bytes).toBe(Buffer.concat([...piece.buffers]).length);
      if (piece.full !== undefined) end(piece.full);
    },
  });
  for (let at = 0, turn = 0; at < input.length; turn++) {
    const next = at + (lengths[turn % lengths.length] ?? 1);
    cutter.feed(input.subarray(at, next));
    at = next;
  }
  cutter.finish();
  end(undefined);
  return batches;
}

const texts = (input: string, size: number, bytes = Infinity, lengths = [1]): string[] =>
  cut(Buffer.from(input), lengths, size, bytes).map(({ text }) => text);

test.each([[1], [2], [3], [100]])('5 = 2+2+1 records (size), read by %d', (length) => {
  expect(texts('a\nbb\nccc\nd\ne\n', 2, Infinity, [length])).toEqual(['a\nbb\n', 'ccc\nd\n', 'e\n']);
});

test.each([[1], [4], [100]])(
  'a record that does not fit closes the batch; a longer one goes alone, read by %d',
  (length) => {
    expect(texts('aa\nbb\nccccccccc\nd\n', 9, 6, [length])).toEqual(['aa\nbb\n', 'ccccccccc\n', 'd\n']);
    expect(texts('aa\nbbb\nc\n', 9, 6, [length])).toEqual(['aa\n', 'bbb\nc\n']);
  },
);

test('the last record needs no separator; empty lines are records', () => {
  expect(cut(Buffer.from('\n\na'), [2], 9, Infinity)).toEqual([{ text: '\n\na', records: 3, full: undefined }]);
  expect(texts('a\nbb', 9, 3)).toEqual(['a\n', 'bb']);
  expect(texts('', 9)).toEqual([]);
  expect(texts('aaaa', 9, 2)).toEqual(['aaaa']);
});

test('in any input cut anyhow: nothing is lost, records stay whole, limits hold, and batches are as full as they can be', () => {
  const dice = random(7);
  for (let round = 0; round < 300; round++) {
    const input = Buffer.from(Array.from({ length: dice.int(200) }, () => (dice.chance(0.2) ? 10 : dice.int(256))));
    const size = 1 + dice.int(6);
    const bytes = dice.chance(0.3) ? Infinity : 1 + dice.int(30);
    const batches = cut(input, [1 + dice.int(20), 1 + dice.int(60)], size, bytes);
    expect(batches.map(({ text }) => text).join('')).toBe(input.toString('latin1'));
    batches.forEach(({ text, records }, index) => {
      const found = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
      expect(found).toHaveLength(records);
      expect(records).toBeLessThanOrEqual(size);
      if (records > 1) expect(text.length).toBeLessThanOrEqual(bytes);
      const next = /^[^\n]*\n?/.exec(batches[index + 1]?.text ?? '')?.[0] ?? '';
      if (next !== '' && records < size) expect(text.length + next.length).toBeGreaterThan(bytes);
      if (index < batches.length - 1) expect(text.endsWith('\n')).toBe(true);
    });
  }
});
