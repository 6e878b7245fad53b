import { join } from 'node:path';
import type { FileSystem } from './file-system.js';

/** The syncs of a directory and its folders, shared by the calls that wait for the same one. */
export class FolderSyncs {
  /** Names that were removed or found in the directory. */
  changes = 0;
  /** Syncs of the directory itself that have failed in a row. */
  failures = 0;
  /** How many of these changes survive power loss. */
  #syncedChanges = 0;
  /** For each folder: the sync that runs, and the one that begins after it. */
  readonly #syncing = new Map<string, Promise<void>>();
  readonly #syncNext = new Map<string, Promise<void>>();
  readonly #files: FileSystem;
  readonly #directory: string;

  constructor(files: FileSystem, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  /** Power loss would undo no change. */
  isSynced(): boolean {
    return this.#syncedChanges === this.changes;
  }

  /** `''` is the directory itself. */
  sync(folder: string): Promise<void> {
    const shared = this.#syncNext.get(folder);
    if (shared !== undefined) return shared;
    const running = this.#syncing.get(folder);
    if (running === undefined) return this.#sync(folder);
    const next = running
      .catch(() => undefined)
      .then(() => {
        this.#syncNext.delete(folder);
        return this.#sync(folder);
      });
    this.#syncNext.set(folder, next);
    return next;
  }

  #sync(folder: string): Promise<void> {
    const { changes } = this;
    const syncing = this.#files.syncDirectory(join(this.#directory, folder)).then(
      () => {
        this.#syncing.delete(folder);
        if (folder !== '') return;
        this.#syncedChanges = Math.max(this.#syncedChanges, changes);
        this.failures = 0;
      },
      (error: unknown) => {
        this.#syncing.delete(folder);
        if (folder === '') this.failures++;
        throw error;
      },
    );
    this.#syncing.set(folder, syncing);
    return syncing;
  }
}
