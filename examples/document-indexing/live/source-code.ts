import { readFile } from 'node:fs/promises';
import type { Code } from '../protocol.js';
import { RefusedError } from './refusal.js';

/** The lines of this program that the page names, from the first that has `from` to the first after it that has `to`. */
const PIECES = new Map([
  ['serving', { file: 'hashed-embedder.ts', from: 'serving: (way, alone)', to: '}),' }],
  ['rows', { file: 'row-batcher.ts', from: 'export class RowBatcher', to: 'throw new PartialFlushError' }],
]);

export async function sourceCode(name: string): Promise<Code> {
  const piece = PIECES.get(name);
  if (piece === undefined) throw new RefusedError(404, 'There is no such piece of code.');
  const text = await readFile(new URL(piece.file, import.meta.url), 'utf8');
  const lines = text.split('\n');
  const from = lines.findIndex((line) => line.includes(piece.from));
  const to = lines.findIndex((line, i) => i > from && line.includes(piece.to));
  return { file: `examples/document-indexing/live/${piece.file}`, text, from: from + 1, to: to + 1 };
}
