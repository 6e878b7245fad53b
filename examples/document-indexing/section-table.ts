import { createHash } from 'node:crypto';
import type { Database, Row } from './database.js';
import type { Section } from './sections.js';

export interface SectionRow extends Section {
  id: string;
  path: string;
  /** Whether it is the last one of its document. */
  last: boolean;
}

export interface Hit {
  path: string;
  heading: string;
  snippet: string;
  rank: number;
}

/** The rows of a document. Their ids are the idempotency keys: the same text at the same place has the same id. */
export function rowsOf(path: string, sections: readonly Section[]): SectionRow[] {
  return sections.map((section, i) => {
    const key = JSON.stringify([path, section.position, section.heading, section.content]);
    const id = createHash('sha256').update(key).digest('hex').slice(0, 32);
    return { id, path, ...section, last: i === sections.length - 1 };
  });
}

const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS document_sections (
    id text PRIMARY KEY,
    path text NOT NULL,
    position integer NOT NULL,
    heading text NOT NULL,
    content text NOT NULL,
    search tsvector GENERATED ALWAYS AS (
      setweight(to_tsvector('english', heading), 'A') || setweight(to_tsvector('english', content), 'B')
    ) STORED
  )`,
  'CREATE INDEX IF NOT EXISTS document_sections_place ON document_sections (path, position)',
  'CREATE INDEX IF NOT EXISTS document_sections_search ON document_sections USING gin (search)',
];

/**
 * One statement, so that a batch is stored whole or not at all, and the same one for every batch size. All of its
 * parts see the table as it was before: `present` does not count what `added` puts there.
 */
const STORE = `
  WITH incoming AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::boolean[])
      AS row (id, path, position, heading, content, last)
  ), replaced AS (
    DELETE FROM document_sections AS old USING incoming AS new
    WHERE old.path = new.path AND old.position = new.position AND old.id <> new.id RETURNING 1
  ), cut_off AS (
    DELETE FROM document_sections AS old USING incoming AS new
    WHERE new.last AND old.path = new.path AND old.position > new.position RETURNING 1
  ), added AS (
    INSERT INTO document_sections (id, path, position, heading, content)
    SELECT id, path, position, heading, content FROM incoming
    ON CONFLICT DO NOTHING RETURNING 1
  )
  SELECT
    (SELECT count(*) FROM added)::integer AS added,
    (SELECT count(*) FROM incoming JOIN document_sections USING (id))::integer AS present,
    ((SELECT count(*) FROM replaced) + (SELECT count(*) FROM cut_off))::integer AS removed`;

/** All of the words; if no section has them all, any of them. */
const SEARCH = `
  SELECT path, heading, rank, ts_headline('english', content, query,
    'MaxWords=24, MinWords=12, MaxFragments=1, StartSel=«, StopSel=»') AS snippet
  FROM (
    SELECT *, ts_rank_cd(search, query) AS rank
    FROM document_sections, (SELECT CASE WHEN EXISTS (SELECT 1 FROM document_sections WHERE search @@ all_words)
        THEN all_words ELSE replace(plainto_tsquery('english', $1)::text, '&', '|')::tsquery END AS query
      FROM websearch_to_tsquery('english', $1) AS all_words) AS question
    WHERE search @@ query
    ORDER BY rank DESC, path, position
    LIMIT $2
  ) AS hit
  ORDER BY rank DESC, path, position`;

/** What is known of the documents: one row for each section, found by id, by place and by words. */
export class SectionTable {
  readonly #database: Database;

  private constructor(database: Database) {
    this.#database = database;
  }

  static async open(database: Database): Promise<SectionTable> {
    for (const statement of SCHEMA) await database.query(statement);
    return new SectionTable(database);
  }

  /** Storing the same rows again changes nothing. Rows that stand where one of these belongs are removed. */
  async store(rows: readonly SectionRow[]): Promise<{ added: number; present: number; removed: number }> {
    const [result = {}] = await this.#database.query(STORE, [
      rows.map((row) => row.id),
      rows.map((row) => row.path),
      rows.map((row) => row.position),
      rows.map((row) => row.heading),
      rows.map((row) => row.content),
      rows.map((row) => row.last),
    ]);
    return { added: number(result, 'added'), present: number(result, 'present'), removed: number(result, 'removed') };
  }

  /** The number of rows, of all documents or of these. */
  async count(paths?: readonly string[]): Promise<number> {
    const where = paths === undefined ? '' : 'WHERE path = ANY($1::text[])';
    const sql = `SELECT count(*)::integer AS rows FROM document_sections ${where}`;
    const [result = {}] = await this.#database.query(sql, paths === undefined ? [] : [paths]);
    return number(result, 'rows');
  }

  async paths(): Promise<string[]> {
    const rows = await this.#database.query('SELECT DISTINCT path FROM document_sections');
    return rows.map((row) => text(row, 'path'));
  }

  /** Resolves to the number of rows removed. */
  async forget(paths: readonly string[]): Promise<number> {
    const sql = `WITH gone AS (DELETE FROM document_sections WHERE path = ANY($1::text[]) RETURNING 1)
      SELECT count(*)::integer AS rows FROM gone`;
    const [result = {}] = await this.#database.query(sql, [paths]);
    return number(result, 'rows');
  }

  async search(query: string, limit: number): Promise<Hit[]> {
    const rows = await this.#database.query(SEARCH, [query, limit]);
    return rows.map((row) => ({
      path: text(row, 'path'),
      heading: text(row, 'heading'),
      snippet: text(row, 'snippet'),
      rank: number(row, 'rank'),
    }));
  }
}

export function number(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== 'number') throw new TypeError(`column ${column}: expected a number, got ${typeof value}`);
  return value;
}

export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw new TypeError(`column ${column}: expected a text, got ${typeof value}`);
  return value;
}
