import type { Database } from '../database.js';
import { reasonOf } from '../printable.js';
import type { Hit } from '../protocol.js';
import { number, text } from '../section-table.js';
import type { ChunkTable } from './chunk-table.js';
import { shownPath } from './documents-of.js';
import type { Embedder } from './embedder.js';
import { excerptOf } from './excerpt.js';
import { wordsOf } from './hashed-embedding.js';

/**
 * What has the words and what is near by its vector, together: the cosine, 0 to 1, and half as much for the words' rank;
 * and one more where the words stand as they were typed, so that a known sentence comes first. Nearness alone, without
 * any of the words, is a hit only from `$5` on: a section of one word ("MIT") is near to whatever one of its few hashes
 * is shared with.
 */
const SEARCH = `
  WITH question AS (
    SELECT websearch_to_tsquery('english', $1) AS words, phraseto_tsquery('english', $1) AS phrase,
      replace(plainto_tsquery('english', $1)::text, '&', '|')::tsquery || to_tsquery('english', $6) AS any_word,
      $2::halfvec AS vector
  ), near AS (
    SELECT id FROM document_sections, question
    WHERE model = $3 AND vector_dims(embedding) = vector_dims(vector)
    ORDER BY embedding <=> vector LIMIT $4
  ), matching AS (
    SELECT id FROM document_sections, question WHERE search @@ words
    ORDER BY ts_rank_cd(search, words, 32) DESC, id LIMIT $4
  ), touching AS (
    SELECT id FROM document_sections, question WHERE search @@ any_word
    ORDER BY ts_rank(search, any_word) DESC, id LIMIT $4
  ), exact AS (
    SELECT id FROM document_sections, question WHERE search @@ phrase
    ORDER BY position(lower($1) IN lower(content)) > 0 DESC, id LIMIT $4
  ), literal AS (
    SELECT id FROM document_sections
    WHERE cardinality($7::text[]) > 0 AND heading || ' ' || content ILIKE ALL ($7::text[]) LIMIT $4
  ), candidate AS (
    SELECT id FROM near UNION SELECT id FROM matching UNION SELECT id FROM touching UNION SELECT id FROM exact
    UNION SELECT id FROM literal
  ), compared AS (
    SELECT section.*, words, any_word,
      CASE WHEN model = $3 AND vector_dims(embedding) = vector_dims(vector)
        THEN coalesce(1 - nullif(embedding <=> vector, 'NaN'), 0) ELSE 0 END AS nearness,
      id IN (SELECT id FROM literal) OR position(lower($1) IN lower(content)) > 0 AS stands_there
    FROM document_sections AS section JOIN candidate USING (id), question
  ), scored AS (
    SELECT *,
      (nearness * CASE WHEN search @@ any_word THEN 1 ELSE 0.5 END
        + ts_rank_cd(search, words, 32) / 2 + ts_rank(search, any_word, 32) / 4
        + CASE WHEN stands_there THEN 1 ELSE 0 END)::float8 AS score
    FROM compared WHERE search @@ any_word OR stands_there OR nearness >= $5
    ORDER BY score DESC, path, position LIMIT $4
  )
  SELECT path, position, heading, score,
    ts_headline('english', content, any_word, 'MaxWords=36, MinWords=18, StartSel="", StopSel=""') AS excerpt,
    CASE WHEN cardinality($7::text[]) > 0 THEN content ELSE '' END AS content,
    coalesce((SELECT job FROM job_sections WHERE section = scored.id LIMIT 1), '') AS job
  FROM scored WHERE score > $8 * (SELECT max(score) FROM scored) ORDER BY score DESC, path, position`;

export const MAX_QUERY = 1_000;
/** A hit with a smaller part of the best one's score is noise beside it. */
const FLOOR = 0.2;
/** Known words that one misspelt word is compared with. */
const GUESSES = 5;
/** Scripts that put no spaces between words, or put endings on them: the words are looked for as they are typed. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

export interface Answer {
  hits: Hit[];
  /** The query that was searched for instead of the one that was typed. */
  corrected?: string;
  /** Why the embedding has no part in it. */
  wordsOnly?: string;
}

/** The sections that answer best, best first. */
export async function search(
  database: Database,
  table: ChunkTable,
  embedder: Embedder,
  typed: string,
  limit: number,
): Promise<Answer> {
  const { query, prefixes } = await spelling(table, typed);
  let wordsOnly: string | undefined;
  const vector = await embedder
    .embedQuery(query, (words) => table.weights(words))
    .catch((error: unknown) => {
      wordsOnly = reasonOf(error);
      return null;
    });
  const literals = UNSPACED.test(query) ? query.split(/\s+/) : [];
  const patterns = literals.map((word) => `%${word.replace(/[\\%_]/g, '\\$&')}%`);
  const words = prefixes.map((word) => `${word}:*`).join(' | ');
  const parameters = [query, vector, embedder.name, limit, embedder.nearEnough, words, patterns, FLOOR];
  const rows = await database.query(SEARCH, parameters);
  const hits = rows.map((row): Hit => ({
    path: shownPath(text(row, 'path')),
    document: text(row, 'path'),
    position: number(row, 'position'),
    heading: text(row, 'heading'),
    excerpt: excerptOf(text(row, 'excerpt'), text(row, 'content'), literals),
    score: number(row, 'score'),
    job: text(row, 'job'),
  }));
  return { hits, ...(query !== typed && { corrected: query }), ...(wordsOnly !== undefined && { wordsOnly }) };
}

/** Words that no document holds, replaced by the nearest ones that are held; and those that are only begun. */
async function spelling(table: ChunkTable, typed: string): Promise<{ query: string; prefixes: string[] }> {
  const found = await table.frequencies([...new Set(wordsOf(typed))]);
  const unknown = found.filter(({ nodes, sections }) => nodes > 0 && sections === 0);
  const prefixes = unknown.filter(({ begun }) => begun > 0).map(({ word }) => word);
  const guesses = new Map(
    unknown.filter(({ begun }) => begun === 0).map(({ word }) => [word, table.vocabulary.nearest(word, GUESSES)]),
  );
  const held = await table.frequencies([...guesses.values()].flat());
  const heldWords = new Set(held.filter(({ sections }) => sections > 0).map(({ word }) => word));
  let query = typed;
  for (const [word, known] of guesses) {
    const better = known.find((guess) => heldWords.has(guess));
    if (better === undefined) continue;
    // A word of the query is letters and digits: there is nothing to escape.
    query = query.replace(new RegExp(`(?<![\\p{L}\\p{N}])${word}(?![\\p{L}\\p{N}])`, 'giu'), better);
  }
  return { query, prefixes };
}
