import { connectServer } from './server.js';
import { openEmbedded } from './embedded.js';

export type Row = Readonly<Record<string, unknown>>;

/** All that the program needs of a Postgres, wherever it runs. Every query is a transaction of its own. */
export interface Database {
  /** For messages. */
  readonly name: string;
  query(sql: string, parameters?: readonly unknown[]): Promise<readonly Row[]>;
  close(): Promise<void>;
}

export function openDatabase(server: URL | undefined, dataDirectory: string): Promise<Database> {
  return server === undefined ? openEmbedded(dataDirectory) : connectServer(server);
}
