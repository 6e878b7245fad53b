import type { Database } from '../database.js';
import type { Hit } from '../protocol.js';
import { number, text } from '../section-table.js';
import type { ChunkTable } from './chunk-table.js';
import type { Embedder } from './embedder.js';

/**
 * What is near by its vector and what has the words, together: the cosine, 0 to 1, and half as much for the words' rank;
 * and one more where the words stand as they were typed, so that a known sentence comes first. Nearness alone counts
 * half: a section of one word ("MIT") is near to whatever one of its few hashes is shared with.
 */
const SEARCH = `
  WITH question AS (
    SELECT websearch_to_tsquery('english', $1) AS words, phraseto_tsquery('english', $1) AS phrase,
      replace(plainto_tsquery('english', $1)::text, '&', '|')::tsquery AS any_word, $2::halfvec AS vector
  ), near AS (
    SELECT id FROM document_sections, question WHERE model = $3
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
  ), candidate AS (
    SELECT id FROM near UNION SELECT id FROM matching UNION SELECT id FROM touching UNION SELECT id FROM exact
  ), scored AS (
    SELECT section.id, path, position, heading, content, words,
      (CASE WHEN model = $3 THEN coalesce(1 - nullif(embedding <=> vector, 'NaN'), 0) ELSE 0 END
        * CASE WHEN search @@ any_word THEN 1 ELSE 0.5 END
        + ts_rank_cd(search, words, 32) / 2
        + CASE WHEN position(lower($1) IN lower(content)) > 0 THEN 1 ELSE 0 END)::float8 AS score
    FROM document_sections AS section JOIN candidate USING (id), question
    ORDER BY score DESC, path, position LIMIT $4
  )
  SELECT path, heading, score,
    ts_headline('english', content, words, 'MaxWords=36, MinWords=18, StartSel="", StopSel=""') AS excerpt,
    coalesce((SELECT job FROM job_sections WHERE section = scored.id LIMIT 1), '') AS job
  FROM scored WHERE score > 0.05 ORDER BY score DESC, path, position`;

export const MAX_QUERY = 1_000;

/** The sections that answer best, best first. */
export async function search(
  database: Database,
  table: ChunkTable,
  embedder: Embedder,
  query: string,
  limit: number,
): Promise<Hit[]> {
  const vector = await embedder.embedQuery(query, (words) => table.weights(words));
  const rows = await database.query(SEARCH, [query, vector, embedder.name, limit]);
  return rows.map((row) => ({
    path: text(row, 'path'),
    heading: text(row, 'heading'),
    excerpt: text(row, 'excerpt'),
    score: number(row, 'score'),
    job: text(row, 'job'),
  }));
}
