/** A deliberate durability bug. */
export interface Mutant {
  name: string;
  /** In `collectors/`. */
  file: string;
  /** Must be there exactly once; a mutant whose place has moved is reported as such, and fails the run. */
  from: string;
  to: string;
  /** What has to catch it: the simulated lives, or a test file. */
  by:
    | 'lives'
    | 'file-batcher'
    | 'file/damage'
    | 'file/fuzz'
    | 'file/holes'
    | 'file/kept-files'
    | 'file/processes.long'
    | 'file/surroundings'
    | 'file/reported-faults'
    | 'file/lives'
    | 'file/parts'
    | 'file/simulated';
}

const SPOOL = 'file/spool.ts';

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'item: acknowledges without a sync',
    file: 'file/append-file.ts',
    from: `if (spool.config.durability === 'item' && owned) await live.sync();`,
    to: `if (spool.config.durability === undefined && owned) await live.sync();`,
    by: 'lives',
  },
  {
    name: 'item: the directory is not synced for a new file',
    file: 'file/live-file.ts',
    from: `if (!this.#named) await this.#spool.sync();`,
    to: `if (!this.#named) await Promise.resolve();`,
    by: 'lives',
  },
  {
    name: 'batch: no sync after the interval',
    file: 'file/periodic-sync.ts',
    from: `    else this.#later();
  }`,
    to: `  }`,
    by: 'lives',
  },
  {
    name: 'a sealed batch is not synced before flush sees it',
    file: 'file/closing.ts',
    from: `if (failure === undefined && spool.config.durability !== 'none' && live.dirty) {`,
    to: `if (failure === undefined && spool.config.durability === undefined && live.dirty) {`,
    by: 'lives',
  },
  {
    name: 'a failed sync is tried again on the same descriptor',
    file: 'file/live-file.ts',
    from: `      if (this.#synced < this.bytes) await this.#rewrite(old, fresh);
`,
    to: ``,
    by: 'lives',
  },
  {
    name: 'batch: a failed sync is forgotten, and the next one believed',
    file: 'file/periodic-sync.ts',
    from: `      const failure = asError(error);
      live.failure = failure;`,
    to: `      const failure = asError(error);
      if (failure !== undefined) return;`,
    by: 'lives',
  },
  {
    name: 'acknowledges before the write is done',
    file: 'file/append-file.ts',
    from: `if (written === undefined && spool.config.durability !== 'item' &&`,
    to: `if (spool.config.durability !== 'item' &&`,
    by: 'lives',
  },
  {
    name: 'ignores the short count of a write',
    file: 'file/writing.ts',
    from: `    done += count;`,
    to: `    done = count < 0 ? count : bytes.byteLength;`,
    by: 'lives',
  },
  {
    name: 'no truncation after a failed write',
    file: 'file/live-file.ts',
    from: `    this.#file?.truncate(this.bytes);
    this.torn = false;`,
    to: `    this.torn = false;`,
    by: 'lives',
  },
  {
    name: 'a truncation that failed is not tried again',
    file: 'file/append-file.ts',
    from: `      if (live.torn) live.cutOff();
      const file = live.file ?? live.create();
      live.torn = true; // until we know better
      const written = writeAll(file, bytes, live.bytes);`,
    to: `      const file = live.file ?? live.create();
      const written = writeAll(file, bytes, file.stat().bytes);`,
    by: 'lives',
  },
  {
    name: 'item: what is taken back of a refused group is not synced',
    file: 'file/live-file.ts',
    from: `if (this.cut) await this.#file?.sync();`,
    to: `if (this.cut) this.#file?.stat();`,
    by: 'file/simulated',
  },
  {
    name: 'a file that is taken back is not counted as removed',
    file: 'file/live-file.ts',
    from: `    this.#spool.discard(file, fileName(this.name));`,
    to: `    closeQuietly(file);
    this.#spool.files.remove(this.path);`,
    by: 'lives',
  },
  {
    name: 'the parent of the directory is not synced',
    file: SPOOL,
    from: `makeDirectory(directory, durability !== 'none')`,
    to: `makeDirectory(directory, durability === undefined)`,
    by: 'lives',
  },
  {
    name: 'checksums are not looked at',
    file: 'file/format.ts',
    from: `  return sum === crc32(view, from, end) ? end : -1;`,
    to: `  return sum >= -1 ? end : -1;`,
    by: 'file/damage',
  },
  {
    name: 'a line without its newline counts',
    file: 'file/blocks.ts',
    from: `  if (filled > 0) yield { bytes: buffer.subarray(0, filled), position, kind: overlong ? 'overlong' : 'tail' };`,
    to: `  if (filled > 0) yield { bytes: Buffer.concat([buffer.subarray(0, filled), Buffer.from('\\n')]), position, kind: 'lines' };`,
    by: 'file/damage',
  },
  {
    name: 'the rest of a file is given up at its first damaged line',
    file: 'file/lines.ts',
    from: `    if (textEnd >= 0) {
      tally.good++;`,
    to: `    if (tally.bad > 0) textEnd = -1;
    if (textEnd >= 0) {
      tally.good++;`,
    by: 'file/damage',
  },
  {
    name: 'the file is removed before flush has it',
    file: 'file/delivery.ts',
    from: `    batch.beginAttempt(context.signal);`,
    to: `    batch.beginAttempt(context.signal);
    await batch.remove();`,
    by: 'lives',
  },
  {
    name: 'the file is removed although flush failed',
    file: 'file/storage.ts',
    from: `    givesUp: (batch) => fileOf(batch).remains.isEmpty || fileOf(batch).attempts >= maxAttempts,`,
    to: `    givesUp: (batch) => {
      try {
        void fileOf(batch).remove();
      } catch {}
      return fileOf(batch).attempts >= maxAttempts;
    },`,
    by: 'lives',
  },
  {
    name: 'what is delivered is not removed',
    file: 'file/delivery.ts',
    from: `    await batch.remove();
    this.#countMissing(batch, false);`,
    to: `    this.#countMissing(batch, false);`,
    by: 'lives',
  },
  {
    name: 'removals are not synced',
    file: SPOOL,
    from: `    if (this.#syncs.isSynced() ||`,
    to: `    if (this.#syncs.changes >= 0 ||`,
    by: 'lives',
  },
  {
    name: 'salvage in place: the good lines are written over the damaged file',
    file: 'file/examine.ts',
    from: `    const temporary = this.#spool.path(temporaryName(this.#name));
    discard(files, undefined, temporary);
    const copy = files.create(temporary);`,
    to: `    const temporary = this.#path;
    const copy = files.open(temporary, 'write');`,
    by: 'lives',
  },
  {
    name: 'the mended copy is not synced before it takes the place of the file',
    file: 'file/examine.ts',
    from: `      await writer.finish();
      const found`,
    to: `      await writer.finish(false);
      const found`,
    by: 'file/simulated',
  },
  {
    name: 'damaged lines are thrown away',
    file: 'file/examine.ts',
    from: `        if (end >= 0) return undefined;`,
    to: `        if (end >= -1) return undefined;`,
    by: 'file/damage',
  },
  {
    name: 'quarantine deletes first: the bytes go before the copy is safe',
    file: 'file/examine.ts',
    from: `    const { bad, torn } = tally;
    let badLines`,
    to: `    const { bad, torn } = tally;
    this.#spool.files.remove(this.#path);
    let badLines`,
    by: 'lives',
  },
  {
    name: 'a file that cannot be read is removed',
    file: 'file/recovery.ts',
    from: `    report.unreadableFiles++;`,
    to: `    report.unreadableFiles++;
    discard(spool.files, undefined, spool.path(name));`,
    by: 'lives',
  },
  {
    name: 'recovered files are not synced',
    file: 'file/sealed-file.ts',
    from: `    if (this.#synced || this.#spool.config.durability === 'none') return Promise.resolve();`,
    to: `    if (this.#synced || this.#spool.config.durability !== undefined) return Promise.resolve();`,
    by: 'lives',
  },
  {
    name: 'a directory that recovery could not sync is not synced later either',
    file: SPOOL,
    from: `    this.#syncs.changes++;
    await this.syncNames().catch(() => undefined);`,
    to: `    await this.sync().catch(() => undefined);`,
    by: 'file-batcher',
  },
  {
    name: 'recovery takes the newest file first',
    file: 'file/recovery.ts',
    from: `...ours.sort()]`,
    to: `...ours.sort().reverse()]`,
    by: 'lives',
  },
  {
    name: 'the sequence restarts: later files have lower numbers when the clock has jumped',
    file: SPOOL,
    from: `    this.#sequence = Math.max(this.#sequence, sequence);`,
    to: `    this.#sequence = Math.min(this.#sequence, sequence);`,
    by: 'file/surroundings',
  },
  {
    name: 'a batch gets a new id with each process',
    file: 'file/format.ts',
    from: `nonce.replaceAll('.', '/')].join('-');`,
    to: `nonce.replaceAll('.', '/'), process.hrtime.bigint() / 100000000n].join('-');`,
    by: 'file/processes.long',
  },
  {
    name: 'attempts do not survive a restart',
    file: 'file/sealed-file.ts',
    from: `fileName({ ...name, attempts })`,
    to: `fileName({ ...name, attempts: 0 })`,
    by: 'lives',
  },
  {
    name: 'a batch that is given up is removed instead of moved to dead/',
    file: 'file/spool.ts',
    from: `    this.files.rename(this.path(name), this.path(target));`,
    to: `    this.files.remove(this.path(name));`,
    by: 'lives',
  },
  {
    name: 'maxBytes is not looked at before the write',
    file: 'file/spool.ts',
    from: `if (this.bytes + this.reserved + bytes <= this.config.maxBytes) return true;`,
    to: `if (this.bytes + this.reserved - bytes <= this.config.maxBytes) return true;`,
    by: 'file-batcher',
  },
  {
    name: 'a file that has lost its name goes on taking items',
    file: 'file/live-file.ts',
    from: `if (named === undefined || !isSame(own, named)) return`,
    to: `if (named === undefined && isSame(own, own) && own.bytes < 0) return`,
    by: 'file/surroundings',
  },
  {
    name: 'the lock never blocks',
    file: 'file/lock.ts',
    from: `      if (lives) throw lockedError(directory);`,
    to: `      if (lives && attempt < 0) throw lockedError(directory);`,
    by: 'file/processes.long',
  },
  {
    name: 'a dead owner blocks',
    file: 'file/lock.ts',
    from: `resolve(error.code === 'ENOENT' ? undefined : error.code !== 'ECONNREFUSED');`,
    to: `resolve(error.code === 'ENOENT' ? undefined : true);`,
    by: 'file/processes.long',
  },
  {
    name: 'links are followed',
    file: 'file/file-system.ts',
    from: `    if (!fs.lstatSync(path).isFile()) throw new Error('not a regular file');
    const descriptor = fs.openSync(path, (mode === 'read' ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK);`,
    to: `    if (!fs.statSync(path).isFile()) throw new Error('not a regular file');
    const descriptor = fs.openSync(path, (mode === 'read' ? O_RDONLY : O_RDWR) | O_NONBLOCK);`,
    by: 'file/fuzz',
  },
  {
    name: 'a sealed file is not compared to what was stored',
    file: 'file/sealed-file.ts',
    from: `    const same = isSame(found, known) && found.modified === known.modified && found.bytes === known.bytes;`,
    to: `    const same = known.bytes >= 0;`,
    by: 'file/reported-faults',
  },
  {
    name: 'a full batch keeps its descriptor until a lane comes',
    file: 'file/sealing.ts',
    from: `if (before !== undefined) this.#seal(before);`,
    to: ``,
    by: 'file/reported-faults',
  },
  {
    name: 'what is damaged before a whole line is thrown away',
    file: 'file/lines.ts',
    from: `      this.to = start;
      return true;`,
    to: `      this.from = start;
      this.textEnd = this.#behind;
      this.#behind = -1;
      return false;`,
    by: 'file/holes',
  },
  {
    name: 'a rescue glues two lines together',
    file: 'file/rescue.ts',
    from: `    if (block.kind === 'tail') await writer.add(LINE_END);`,
    to: ``,
    by: 'file/holes',
  },
  {
    name: 'the last sync of a file is believed although a part of it was missing before',
    file: 'file/closing.ts',
    from: `let failure = live.failure ?? live.seenDamage();`,
    to: `let failure = live.failure;`,
    by: 'file/holes',
  },
  {
    name: 'a sealed batch whose sync has failed counts as synced',
    file: 'file/closing.ts',
    from: `      doubtful = true;
`,
    to: ``,
    by: 'file/simulated',
  },
  {
    name: 'what has failed to sync is not tried again at the end',
    file: 'file/delivery.ts',
    from: `await this.#ahead.finish();`,
    to: `await this.#ahead.stop();`,
    by: 'file/simulated',
  },
  {
    name: 'a file that was removed is reported as one that cannot be synced',
    file: 'file/delivery.ts',
    from: `      if (isMissing(error)) return;
`,
    to: ``,
    by: 'file/simulated',
  },
  {
    name: 'a copy that loses its name while it is synced is not copied again',
    file: 'file/closing.ts',
    from: `if (failure === undefined || tries === 1) throw error;`,
    to: `throw error;`,
    by: 'file/simulated',
  },
  {
    name: 'attempts begin however many reads were never answered',
    file: 'file/delivery.ts',
    from: `const MOST_ABANDONED = 4;`,
    to: `const MOST_ABANDONED = Infinity;`,
    by: 'file/simulated',
  },
  {
    name: 'damaged lines are counted only when the work after a flush is done',
    file: 'file/delivery.ts',
    from: `    if (!batch.over) this.#countMissing(batch, batch.file.unsafe);
`,
    to: ``,
    by: 'file/simulated',
  },
  {
    name: 'a part gets the number of a part of an earlier process',
    file: 'file/batch-file.ts',
    from: `this.#splits = Math.max(2 * this.attempts, found?.parts ?? 0);`,
    to: `this.#splits = 0;`,
    by: 'file/parts',
  },
  {
    name: 'a part gets the number of a part that was found',
    file: 'file/batch-file.ts',
    from: `Math.max(2 * this.attempts, found?.parts ?? 0)`,
    to: `2 * this.attempts`,
    by: 'file/lives',
  },
  {
    name: 'a part that is dropped keeps the file of the whole',
    file: 'file/batch-file.ts',
    from: `    this.share.leaveWhole();
`,
    to: ``,
    by: 'file/parts',
  },
  {
    name: 'a part whose whole was removed fails for ever',
    file: 'file/share.ts',
    from: `file.look() === 'missing' ? remains.markEmpty(error) : error`,
    to: `error`,
    by: 'file/parts',
  },
  {
    name: 'close leaves the items of parts in the file of the whole',
    file: 'file/batch-file.ts',
    from: `if (writer === undefined || writer.live.bytes > 0)`,
    to: `if (writer !== undefined && writer.live.bytes > 0)`,
    by: 'file/parts',
  },
  {
    name: 'the items of a damaged file are counted while it is being moved to quarantine/',
    file: 'file/delivery.ts',
    from: `      await batch.moveToDead(error);`,
    to: `      if (!batch.over) await batch.moveToDead(error);`,
    by: 'file/lives',
  },
  {
    name: 'the second file of one id is delivered with that, if it cannot be renamed',
    file: 'file/recovery.ts',
    from: `return isBareName(name) ? name : undefined;`,
    to: `return name;`,
    by: 'file/kept-files',
  },
  {
    name: 'a batch that was dropped while its file was being copied is reported as not synced',
    file: 'file/closing.ts',
    from: `if (!dropped) spool.report(`,
    to: `spool.report(`,
    by: 'file/lives',
  },
  {
    name: 'close reports a batch of which nothing is left as not synced',
    file: 'file/batch-file.ts',
    from: `if (!this.remains.isEmpty) this.#spool.report('unsynced'`,
    to: `this.#spool.report('unsynced'`,
    by: 'file/lives',
  },
  {
    name: 'a batch is over while a copy of it is being written, and nothing waits for that',
    file: 'file/batch-file.ts',
    from: `return this.share.stopped();`,
    to: `return;`,
    by: 'lives',
  },
  {
    name: 'a file in dead/ whose sync had failed is not synced again',
    file: 'file/delivery.ts',
    from: `await this.#ahead.sync(batch); // no later attempt does`,
    to: ``,
    by: 'file/kept-files',
  },
  {
    name: 'a file that clear() hands back is not synced again',
    file: 'file/delivery.ts',
    from: `this.#ahead.addLast(file);`,
    to: ``,
    by: 'file/kept-files',
  },
  {
    name: 'cleared files are all synced at once',
    file: 'file/delivery.ts',
    from: `this.#ahead.addLast(file);`,
    to: `void this.#ahead.sync(file);`,
    by: 'file/kept-files',
  },
  {
    name: 'close leaves the file of a delivered batch whose batchPostFlush has not ended',
    file: 'file/delivery.ts',
    from: `if (this.#delivered.has(batch)) await`,
    to: `if ((0 as number) > 0) await`,
    by: 'file/kept-files',
  },
  {
    name: 'the id of a batch is that of its file in another folder',
    file: 'file/batch-file.ts',
    from: `this.#writer === undefined ? this.#remains.id : batchId`,
    to: `this.#writer === undefined ? fileName({ sequence: 1, nonce: this.file.name, attempts: 0, integrity: 'none' }) : batchId`,
    by: 'file/kept-files',
  },
  {
    name: 'a file is written anew while a part that was split off meanwhile has none',
    file: 'file/share.ts',
    from: `for (const part of this.#parts ?? []) await part.write();`,
    to: `await Promise.all([...(this.#parts ?? [])].map((part) => part.write()));`,
    by: 'file/parts',
  },
  {
    name: 'a name has room for any number of divisions',
    file: 'file/format.ts',
    from: `numbers.length < MOST_DIVISIONS`,
    to: `numbers.length < 1000`,
    by: 'file/parts',
  },
  {
    name: 'nothing is missing from the part of a damaged batch',
    file: 'file/remains.ts',
    from: `    this.#stored -= stored;`,
    to: `    this.#stored -= size;`,
    by: 'file/lives',
  },
  {
    name: 'a copy takes the old name of a file that an attempt has renamed',
    file: 'file/sealed-file.ts',
    from: `this.#name === name && this.#stat === stat`,
    to: `this.#stat === stat`,
    by: 'file/lives',
  },
];
