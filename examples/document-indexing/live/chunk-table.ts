import { reasonOf } from '../printable.js';
import type { Database } from '../database.js';
import type { DocumentText } from '../protocol.js';
import { SectionTable, number, text } from '../section-table.js';
import type { SectionRow } from '../section-table.js';
import { Vocabulary } from './vocabulary.js';

/** A section with its vector, stored for a job. */
export interface ChunkRow {
  job: string;
  section: SectionRow;
  vector: string;
}

const SCHEMA = [
  // Half precision, in line: a search reads all of them.
  `ALTER TABLE document_sections
    ADD COLUMN IF NOT EXISTS model text,
    ADD COLUMN IF NOT EXISTS embedding halfvec`,
  'ALTER TABLE document_sections ALTER COLUMN embedding SET STORAGE main',
  // Of which job is what: a section that two jobs found is stored once, and counts for both.
  `CREATE TABLE IF NOT EXISTS job_sections (
    job text NOT NULL,
    section text NOT NULL,
    PRIMARY KEY (job, section)
  )`,
  // Words as they are written, to find what a misspelt one was meant to be.
  'CREATE TABLE IF NOT EXISTS document_words (word text PRIMARY KEY)',
];

/**
 * One statement, so that a batch is stored whole or not at all, and again changes nothing. All of its parts see the
 * tables as they were before. Two jobs may bring the same section in one batch.
 */
const STORE = `
  WITH incoming AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::boolean[], $8::text[])
      AS row (job, id, path, position, heading, content, last, vector)
  ), replaced AS (
    DELETE FROM document_sections AS old USING incoming AS new
    WHERE old.path = new.path AND old.position = new.position AND old.id <> new.id RETURNING 1
  ), cut_off AS (
    DELETE FROM document_sections AS old USING incoming AS new
    WHERE new.last AND old.path = new.path AND old.position > new.position RETURNING 1
  ), added AS (
    INSERT INTO document_sections (id, path, position, heading, content, model, embedding)
    SELECT DISTINCT ON (id) id, path, position, heading, content, $9::text, vector::halfvec FROM incoming
    ON CONFLICT (id) DO UPDATE SET model = excluded.model, embedding = excluded.embedding
      WHERE document_sections.model IS DISTINCT FROM excluded.model
    RETURNING 1
  ), known AS (
    INSERT INTO document_words SELECT unnest($10::text[]) ON CONFLICT DO NOTHING
  )
  INSERT INTO job_sections (job, section) SELECT DISTINCT job, id FROM incoming ON CONFLICT DO NOTHING`;

/** The sections that are there with a vector count for the job as well. */
const LINK = `
  WITH present AS (
    SELECT id FROM document_sections WHERE id = ANY($2::text[]) AND model = $3
  ), linked AS (
    INSERT INTO job_sections (job, section) SELECT $1::text, id FROM present ON CONFLICT DO NOTHING
  )
  SELECT id FROM present`;

/**
 * How many sections hold each word, as the text search understands words; none holds what it leaves out. For a word that
 * none holds: how many hold one that begins like it.
 */
const FREQUENCIES = `
  WITH counted AS (
    SELECT word, numnode(query) AS nodes,
      (SELECT count(*) FROM document_sections WHERE search @@ query)::integer AS sections
    FROM unnest($1::text[]) AS word, plainto_tsquery('english', word) AS query
  )
  SELECT *, CASE WHEN nodes = 0 OR sections > 0 THEN 0 ELSE (
    SELECT count(*) FROM document_sections WHERE search @@ to_tsquery('english', word || ':*')
  ) END::integer AS begun FROM counted`;

export interface Frequency {
  word: string;
  /** 0 for a word that the text search leaves out, like `the`. */
  nodes: number;
  sections: number;
  begun: number;
}

const DIMENSIONS = `
  SELECT vector_dims(embedding) AS dimensions FROM document_sections
  WHERE model = $1 AND embedding IS NOT NULL LIMIT 1`;

/** What is stored by the jobs, on top of the table of sections. */
export class ChunkTable {
  readonly sections: SectionTable;
  readonly #database: Database;
  readonly #model: string;
  readonly vocabulary = new Vocabulary();
  /** Of the vectors of this model; 0 until there is one. */
  #dimensions = 0;

  private constructor(database: Database, sections: SectionTable, model: string) {
    this.#database = database;
    this.sections = sections;
    this.#model = model;
  }

  get dimensions(): number {
    return this.#dimensions;
  }

  static async open(database: Database, model: string): Promise<ChunkTable> {
    try {
      await database.query('CREATE EXTENSION IF NOT EXISTS vector');
      // Of pgvector 0.7.
      await database.query(`SELECT '[1]'::halfvec`);
    } catch (error) {
      const remedy = 'install pgvector 0.7 or later there, or start without DATABASE_URL';
      throw new Error(`${database.name} has no vectors (${reasonOf(error)}): ${remedy}`, { cause: error });
    }
    const sections = await SectionTable.open(database);
    for (const statement of SCHEMA) await database.query(statement);
    const table = new ChunkTable(database, sections, model);
    const [stored] = await database.query(DIMENSIONS, [model]);
    if (stored !== undefined) table.#dimensions = number(stored, 'dimensions');
    const words = await database.query('SELECT word FROM document_words');
    table.vocabulary.add(words.map((row) => text(row, 'word')));
    return table;
  }

  /** Why a row cannot be stored, if so: vectors of different lengths cannot be compared. */
  refusalOf({ vector }: ChunkRow): Error | undefined {
    const dimensions = dimensionsOf(vector);
    if (this.#dimensions === 0) this.#dimensions = dimensions;
    if (dimensions === this.#dimensions) return undefined;
    return new Error(`its vector has ${dimensions} numbers; those of "${this.#model}" have ${this.#dimensions}`);
  }

  async store(rows: readonly ChunkRow[]): Promise<void> {
    const words = this.vocabulary.missing(rows.map(({ section }) => `${section.heading} ${section.content}`));
    await this.#database.query(STORE, [
      rows.map(({ job }) => job),
      rows.map(({ section }) => section.id),
      rows.map(({ section }) => section.path),
      rows.map(({ section }) => section.position),
      rows.map(({ section }) => section.heading),
      rows.map(({ section }) => section.content),
      rows.map(({ section }) => section.last),
      rows.map(({ vector }) => vector),
      this.#model,
      words,
    ]);
    this.vocabulary.add(words);
  }

  /** Which of these sections are there already; from then on they are the job's too. */
  async link(job: string, ids: readonly string[]): Promise<Set<string>> {
    const rows = await this.#database.query(LINK, [job, ids, this.#model]);
    return new Set(rows.map((row) => text(row, 'id')));
  }

  /** What the job stored of earlier versions of its documents, from before it was interrupted, is not its own. */
  async unlinkVanished(job: string): Promise<void> {
    await this.#database.query(
      `DELETE FROM job_sections WHERE job = $1
        AND NOT EXISTS (SELECT 1 FROM document_sections WHERE id = job_sections.section)`,
      [job],
    );
  }

  async storedBy(job: string): Promise<number> {
    const sql = 'SELECT count(*)::integer AS sections FROM job_sections WHERE job = $1';
    const [row = {}] = await this.#database.query(sql, [job]);
    return number(row, 'sections');
  }

  async frequencies(words: readonly string[]): Promise<Frequency[]> {
    if (words.length === 0) return [];
    const rows = await this.#database.query(FREQUENCIES, [words]);
    return rows.map((row) => ({
      word: text(row, 'word'),
      nodes: number(row, 'nodes'),
      sections: number(row, 'sections'),
      begun: number(row, 'begun'),
    }));
  }

  /** ln((all + 1) / (holding + 1)) + 1 for each word: the rarer, the more it counts. */
  async weights(words: readonly string[]): Promise<Map<string, number>> {
    const [all, rows] = await Promise.all([this.sections.count(), this.frequencies([...new Set(words)])]);
    return new Map(
      rows.map(({ word, nodes, sections }) => {
        // A word like `the` is in most of the documents, and the text search has not counted it.
        const holding = nodes === 0 ? all : sections;
        return [word, Math.log((all + 1) / (holding + 1)) + 1];
      }),
    );
  }

  /** The sections of a document, in order. */
  async document(path: string): Promise<DocumentText['sections']> {
    const rows = await this.#database.query(
      'SELECT position, heading, content FROM document_sections WHERE path = $1 ORDER BY position',
      [path],
    );
    return rows.map((row) => ({
      position: number(row, 'position'),
      heading: text(row, 'heading'),
      content: text(row, 'content'),
    }));
  }
}

function dimensionsOf(vector: string): number {
  let commas = 0;
  for (let i = 0; i < vector.length; i += 1) if (vector.charCodeAt(i) === 44) commas += 1;
  return commas + 1;
}
