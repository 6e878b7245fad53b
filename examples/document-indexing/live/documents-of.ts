import { countFiles, markdownFiles } from '../documents.js';
import type { Complaint } from '../documents.js';
import type { Source } from './job-store.js';

/** One document of a job. */
export interface Document {
  /** Its place in the index. */
  path: string;
  file: string;
}

const UPLOAD = /^upload:[^/]*\/\d+\//;

export async function* documentsOf(job: string, source: Source, complain: Complaint): AsyncGenerator<Document> {
  if (source.kind === 'files') {
    // The same name may come twice, and from several users.
    for (const [i, { file, name }] of source.files.entries()) yield { path: `upload:${job}/${i}/${name}`, file };
    return;
  }
  for await (const file of markdownFiles(source.path, complain)) yield { path: file, file };
}

export async function countDocuments(source: Source, signal: AbortSignal): Promise<number> {
  return source.kind === 'files' ? source.files.length : countFiles(source.path, Infinity, signal);
}

/** As people know it. */
export function shownPath(path: string): string {
  return path.replace(UPLOAD, '');
}
