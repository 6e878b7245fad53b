/** A deliberate durability bug. */
export interface Mutant {
  name: string;
  /** In `collectors/`. */
  file: string;
  /** Must be there exactly once; a mutant whose place has moved is told as such, and fails the run. */
  from: string;
  to: string;
  /** What has to catch it: the simulated lives, or a test file. */
  by: 'lives' | 'file-batcher' | 'file/damage' | 'file/fuzz' | 'file/processes' | 'file/surroundings';
}

const APPEND = 'file/append-file.ts';
const BATCH = 'file/batch-file.ts';
const RECOVERY = 'file/recovery.ts';
const SPOOL = 'file/spool.ts';
const MAIN = 'file-batcher.ts';

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'item: acknowledges without a sync',
    file: APPEND,
    from: `        await file.sync();
        if (!this.#named) await this.#spool.sync();
        if (file.stat()`,
    to: `        if (!this.#named) await this.#spool.sync();
        if (file.stat()`,
    by: 'lives',
  },
  {
    name: 'item: the directory is not synced for a new file',
    file: APPEND,
    from: `        await file.sync();
        if (!this.#named) await this.#spool.sync();
        if (file.stat()`,
    to: `        await file.sync();
        if (file.stat()`,
    by: 'lives',
  },
  {
    name: 'batch: no sync after the interval',
    file: APPEND,
    from: `      else this.#syncLater();
      return;`,
    to: `      return;`,
    by: 'lives',
  },
  {
    name: 'batch: the sync forgets the directory',
    file: APPEND,
    from: `    await file.sync();
    if (!this.#named) await this.#spool.sync();
    this.#named = true;
    this.#synced = Math.max`,
    to: `    await file.sync();
    this.#named = true;
    this.#synced = Math.max`,
    by: 'lives',
  },
  {
    name: 'a sealed batch is not synced before flush sees it',
    file: APPEND,
    from: `this.#spool.config.durability !== 'none' && dirty`,
    to: `this.#spool.config.durability === undefined && dirty`,
    by: 'lives',
  },
  {
    name: 'a failed sync is tried again on the same descriptor',
    file: APPEND,
    from: `      } catch (error) {
        // Whether the rest can be rescued or not: this group is not stored.
        await this.#rescue(asError(error)).catch(() => undefined);
        throw storageError('a sync failed: the items were not stored', error);
      }`,
    to: `      } catch (error) {
        await file.sync().catch(() => {
          throw storageError('a sync failed: the items were not stored', error);
        });
        await this.#spool.sync();
      }`,
    by: 'lives',
  },
  {
    name: 'batch: a failed sync is forgotten, and the next one believed',
    file: APPEND,
    from: `      const failure = asError(error);
      this.#failure = failure;`,
    to: `      const failure = asError(error);
      if (failure !== undefined) return;`,
    by: 'lives',
  },
  {
    name: 'acknowledges before the write is done',
    file: APPEND,
    from: `      if (written === undefined && this.#spool.config.durability !== 'item') {`,
    to: `      if (this.#spool.config.durability !== 'item') {`,
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
    file: APPEND,
    from: `    this.#file?.truncate(this.bytes);
    this.#torn = false;`,
    to: `    this.#torn = false;`,
    by: 'lives',
  },
  {
    name: 'a truncation that failed is not tried again',
    file: APPEND,
    from: `      if (this.#torn) this.#cutOff();
      const file = this.#file ?? this.#create();
      this.#torn = true; // until we know better
      const written = writeAll(file, bytes, this.bytes);`,
    to: `      const file = this.#file ?? this.#create();
      const written = writeAll(file, bytes, file.stat().bytes);`,
    by: 'lives',
  },
  {
    name: 'item: what is taken back of a refused group is not synced',
    file: APPEND,
    from: `      if (this.#cut) await this.#file?.sync();`,
    to: `      if (this.#cut) this.#file?.stat();`,
    by: 'lives',
  },
  {
    name: 'a file that is taken back is not counted as removed',
    file: APPEND,
    from: `    this.#spool.discard(file, fileName(this.name));`,
    to: `    discard(this.#spool.files, file, this.#path);`,
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
    from: `  return sum === crc32(bytes, from, end) ? end : -1;`,
    to: `  return sum >= -1 ? end : -1;`,
    by: 'file/damage',
  },
  {
    name: 'a line without its newline counts',
    file: 'file/lines.ts',
    from: `  if (filled > 0) yield { bytes: buffer.subarray(0, filled), position, kind: overlong ? 'overlong' : 'tail' };`,
    to: `  if (filled > 0) yield { bytes: Buffer.concat([buffer.subarray(0, filled), Buffer.from('\\n')]), position, kind: 'lines' };`,
    by: 'file/damage',
  },
  {
    name: 'the rest of a file is given up at its first damaged line',
    file: 'file/lines.ts',
    from: `        if (end < 0) tally.bad++;
        else {`,
    to: `        if (end < 0 || tally.bad > 0) tally.bad++;
        else {`,
    by: 'file/damage',
  },
  {
    name: 'the file is removed before flush has it',
    file: MAIN,
    from: `    batch.beginAttempt();
    return this.#hooks`,
    to: `    batch.beginAttempt();
    try {
      this.#remove(batch);
    } catch {}
    return this.#hooks`,
    by: 'lives',
  },
  {
    name: 'the file is removed although flush failed',
    file: MAIN,
    from: `      givesUp: (batch) => fileOf(batch).gone || fileOf(batch).attempts >= maxAttempts,`,
    to: `      givesUp: (batch) => {
        try {
          this.#remove(fileOf(batch));
        } catch {}
        return fileOf(batch).attempts >= maxAttempts;
      },`,
    by: 'lives',
  },
  {
    name: 'what is delivered is not removed',
    file: MAIN,
    from: `      if (!batch.over) {
        this.#remove(batch);`,
    to: `      if (!batch.over) {`,
    by: 'lives',
  },
  {
    name: 'removals are not synced',
    file: SPOOL,
    from: `    if (this.#syncedChanges === this.#changes ||`,
    to: `    if (this.#changes >= 0 ||`,
    by: 'lives',
  },
  {
    name: 'salvage in place: the good lines are written over the damaged file',
    file: RECOVERY,
    from: `    const temporary = this.#spool.path(temporaryName(this.#name));
    const copy = files.create(temporary);
    try {
      const writer`,
    to: `    const temporary = this.#path;
    const copy = files.open(temporary, 'write');
    try {
      const writer`,
    by: 'lives',
  },
  {
    name: 'the mended copy is not synced before it takes the place of the file',
    file: RECOVERY,
    from: `      await writer.finish();
      files.rename(temporary, this.#path);
      copy.close();
      await this.#spool.sync();`,
    to: `      const unsynced = { write: copy.write.bind(copy), sync: () => Promise.resolve() };
      Object.assign(copy, unsynced);
      await writer.finish();
      files.rename(temporary, this.#path);
      copy.close();
      await this.#spool.sync();`,
    by: 'lives',
  },
  {
    name: 'damaged lines are thrown away',
    file: RECOVERY,
    from: `        return end < 0 ? quarantine.add(block.bytes.subarray(from, to)) : undefined;`,
    to: `        return end < -1 ? quarantine.add(block.bytes.subarray(from, to)) : undefined;`,
    by: 'file/damage',
  },
  {
    name: 'quarantine deletes first: the bytes go before the copy is safe',
    file: RECOVERY,
    from: `        await this.#quarantine(file, bytes);
        report.quarantinedFiles++;`,
    to: `        this.#spool.files.remove(this.#path);
        await this.#quarantine(file, bytes);
        report.quarantinedFiles++;`,
    by: 'lives',
  },
  {
    name: 'a file that cannot be read is removed',
    file: RECOVERY,
    from: `      report.unreadableFiles++;`,
    to: `      report.unreadableFiles++;
      discard(spool.files, undefined, spool.path(name));`,
    by: 'lives',
  },
  {
    name: 'recovered files are not synced',
    file: RECOVERY,
    from: `      if (this.#spool.config.durability !== 'none') await file.sync();`,
    to: ``,
    by: 'lives',
  },
  {
    name: 'a directory that recovery could not sync is not synced later either',
    file: SPOOL,
    from: `    this.#changes++;
    await this.syncNames().catch(() => undefined);`,
    to: `    await this.sync().catch(() => undefined);`,
    by: 'file-batcher',
  },
  {
    name: 'recovery takes the newest file first',
    file: RECOVERY,
    from: `.sort(byAge);`,
    to: `.sort((a, b) => byAge(b, a));`,
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
    from: `  return \`\${String(sequence).padStart(15, '0')}-\${nonce}\`;`,
    to: `  return \`\${String(sequence).padStart(15, '0')}-\${nonce}-\${process.hrtime.bigint() / 100000000n}\`;`,
    by: 'file/processes',
  },
  {
    name: 'attempts do not survive a restart',
    file: BATCH,
    from: `fileName({ ...name, attempts: this.#attempts + 1 })`,
    to: `fileName({ ...name, attempts: 0 })`,
    by: 'lives',
  },
  {
    name: 'a batch that is given up is removed instead of buried',
    file: SPOOL,
    from: `    this.files.rename(this.path(name), this.path(join(DEAD, name)));`,
    to: `    this.files.remove(this.path(name));`,
    by: 'lives',
  },
  {
    name: 'maxBytes is not looked at before the write',
    file: SPOOL,
    from: `    return this.bytes + this.reserved + bytes <= this.config.maxBytes;`,
    to: `    return this.bytes + this.reserved - bytes <= this.config.maxBytes;`,
    by: 'file-batcher',
  },
  {
    name: 'a file that has lost its name goes on taking items',
    file: APPEND,
    from: `      if (links === 0 || bytes < this.bytes) return new Error('the file was removed or cut');`,
    to: `      if (links < 0 || bytes < this.bytes) return new Error('the file was removed or cut');`,
    by: 'file/surroundings',
  },
  {
    name: 'the lock never blocks',
    file: 'file/lock.ts',
    from: `      if (lives) throw lockedError(directory);`,
    to: `      if (lives && attempt < 0) throw lockedError(directory);`,
    by: 'file/processes',
  },
  {
    name: 'a dead owner blocks',
    file: 'file/lock.ts',
    from: `resolve(error.code === 'ENOENT' ? undefined : error.code !== 'ECONNREFUSED');`,
    to: `resolve(error.code === 'ENOENT' ? undefined : true);`,
    by: 'file/processes',
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
];
