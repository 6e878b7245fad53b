import { join } from 'node:path';
import type { Batch, Job, ProgressWay } from '../../examples/document-indexing/protocol.js';
import { LiveServer, ask, scratch, writeDocuments, type Told } from './live-server.js';

export const isOver = ({ state }: Job): boolean => state === 'done' || state === 'cancelled' || state === 'failed';

const COUNTS = 'SELECT job, count(*)::integer AS sections FROM job_sections GROUP BY job';

/** Sections of each job in the database. */
export async function storedBy(data: string): Promise<Map<string, number>> {
  const rows = await ask<{ job: string; sections: number }>(data, COUNTS);
  return new Map(rows.map(({ job, sections }) => [job, sections]));
}

/** A folder with the documents of two users: 400 sections of ann, 300 of bob. */
export function documentsOfTwo(): { folder: string; documents: string } {
  const folder = scratch();
  const documents = join(folder, 'documents');
  beforeAll(async () => {
    await writeDocuments(join(documents, 'ann'), 8, 50);
    await writeDocuments(join(documents, 'bob'), 6, 50);
  });
  return { folder, documents };
}

/** The tests of two users at once, for one way to report progress. */
export function testTwoUsers(way: ProgressWay, { folder, documents }: ReturnType<typeof documentsOfTwo>): void {
  let data: string;
  let jobs: Job[];
  let told: Told[];

  beforeAll(async () => {
    data = join(folder, `data-${way}`);
    const server = await LiveServer.start(['--no-index', ...['--root', documents, '--data', data, '--progress', way]]);
    told = [await server.events('ann'), await server.events('bob')];
    // Neither is over before the other begins, however busy the machine is.
    server.pause();
    const asked = [server.index('ann', join(documents, 'ann')), server.index('bob', join(documents, 'bob'))];
    await server.resume();
    const begun = await Promise.all(asked);
    jobs = await Promise.all(begun.map(({ id }) => server.until(id, isOver)));
    // Connected again, as by a page that was closed meanwhile.
    told.push(await server.events('ann'));
    expect(await server.end()).toBe(130);
    await Promise.all(told.map(({ ended }) => ended));
  });

  test('each ends at its exact counts: 400 = 8 × 50 and 300 = 6 × 50, the same in the database', async () => {
    expect(jobs.map(({ user, state, files, chunks }) => ({ user, state, files, chunks }))).toEqual([
      {
        user: 'ann',
        state: 'done',
        files: { done: 8, failed: 0, total: 8 },
        chunks: { read: 400, embedded: 400, stored: 400, refused: 0, total: 400 },
      },
      {
        user: 'bob',
        state: 'done',
        files: { done: 6, failed: 0, total: 6 },
        chunks: { read: 300, embedded: 300, stored: 300, refused: 0, total: 300 },
      },
    ]);
    expect(await storedBy(data)).toEqual(new Map(jobs.map(({ id, chunks }) => [id, chunks.stored])));
  });

  test('each sees the events of their own job, and both those of all batches', () => {
    const [anns, bobs, again] = told as [Told, Told, Told];
    const [ann, bob] = jobs as [Job, Job];
    expect(anns.jobs).toEqual([[]]);
    expect(new Set(anns.job.map(({ id }) => id))).toEqual(new Set([ann.id]));
    expect(new Set(bobs.job.map(({ id }) => id))).toEqual(new Set([bob.id]));
    expect(anns.job.at(-1)).toEqual(ann);
    expect(again.jobs).toEqual([[ann]]);

    const batchesOf = (each: Told): Batch[] => each.batch.flatMap(({ batches }) => batches);
    const batches = batchesOf(anns);
    expect(batchesOf(bobs)).toEqual(batches);
    expect(anns.batch.at(-1)?.totals).toMatchObject({ requests: 700, batches: batches.length, users: 2, rows: 700 });
    const chunksOf = (job: string): number =>
      batches.flatMap(({ parts }) => parts).reduce((sum, part) => sum + (part.job === job ? part.count : 0), 0);
    expect([chunksOf(ann.id), chunksOf(bob.id)]).toEqual([400, 300]);
    expect(batches.reduce((sum, { size }) => sum + size, 0)).toBe(700);
    const carried = (job: string): number =>
      batches.filter(({ parts }) => parts.some((part) => part.job === job)).length;
    expect([ann.batches, bob.batches]).toEqual([carried(ann.id), carried(bob.id)]);
  });

  test('the ways agree on tokens and cost', () => {
    // A token is four characters; every way has to come to what the texts have.
    const tokens = (files: number): number => {
      let sum = 0;
      for (let i = 0; i < files * 50; i += 1) {
        const text = `Section ${i % 50}\nWhat file ${Math.floor(i / 50)} says about topic${i} is said here.`;
        sum += Math.ceil(text.length / 4);
      }
      return sum;
    };
    expect(jobs.map((job) => job.tokens)).toEqual([tokens(8), tokens(6)]);
    for (const { tokens: spent, cost } of jobs) expect(cost).toBeCloseTo((spent * 0.02) / 1e6, 12);
  });

  test('strangers share batches, unless the serving is of one job', () => {
    for (const { batches, meanFill, coalescing, latency } of jobs) {
      expect(batches).toBeGreaterThan(0);
      expect(meanFill).toBeGreaterThan(0);
      expect(meanFill).toBeLessThanOrEqual(1);
      expect(latency.p50).toBeGreaterThan(0);
      expect(latency.p99).toBeGreaterThanOrEqual(latency.p50);
      if (way === 'isolated') expect(coalescing.strangersShare).toBe(0);
      else expect(coalescing.strangersShare).toBeGreaterThan(0);
    }
  });
}
