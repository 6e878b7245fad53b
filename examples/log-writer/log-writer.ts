import { open, type FileHandle } from 'node:fs/promises';
import { BatchServer, type Op } from 'batch-please';

type LineOp = Op<string, number, never, never>;

/** The open file, and how many bytes of it are safe. */
interface Log {
  file: FileHandle;
  size: number;
}

/**
 * A durable log: `await log.call(line)` resolves with the line's offset once the disk has it.
 *
 * The disk is synced once per batch, whatever its size. While it syncs, the next lines queue up; so the more callers there
 * are, the more lines share a sync, and no batch size has to be chosen.
 */
export class LogWriter extends BatchServer<Log, string, number, never, never> {
  async init(path: string) {
    const file = await open(path, 'a', 0o600);
    return { state: { file, size: (await file.stat()).size } };
  }

  async handleBatch(ops: readonly LineOp[], log: Log) {
    const offsets: number[] = [];
    let size = log.size;
    const lines = ops.map(({ request }) => {
      offsets.push(size);
      const line = `${request}\n`;
      size += Buffer.byteLength(line);
      return line;
    });
    // If either fails, the server stops, and every caller hears why: a disk that failed once is not to be trusted.
    await log.file.appendFile(lines.join(''));
    await log.file.datasync();
    ops.forEach((op, i) => {
      op.reply(offsets[i] ?? 0);
    });
    return { state: { ...log, size } };
  }

  override async terminate(_reason: unknown, { file }: Log) {
    await file.close();
  }

  override formatStatus({ size }: Log) {
    return { size };
  }
}
