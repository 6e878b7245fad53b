import multipart from '@fastify/multipart';
import statics from '@fastify/static';
import fastify from 'fastify';
import type { FastifyError, FastifyInstance } from 'fastify';
import { reasonOf } from '../printable.js';
import type { Events, Hit, Info, Job, Refusal } from '../protocol.js';
import type { EventStream } from './event-stream.js';
import { guard } from './guards.js';
import type { Jobs } from './jobs.js';
import { RefusedError } from './refusal.js';
import { checkUser } from './requests.js';
import type { JobRequests, Limits } from './requests.js';
import { MAX_QUERY } from './search.js';

export interface WebOptions {
  /** Where the page's files are. */
  page: string;
  loopback: boolean;
  limits: Limits;
  jobs: Jobs;
  requests: JobRequests;
  events: EventStream;
  info(): Info;
  database(): Events['database'];
  search(query: string, limit: number): Promise<Hit[]>;
}

const MAX_HITS = 100;

export async function webServer(options: WebOptions): Promise<FastifyInstance> {
  const { limits, jobs, requests, events } = options;
  // Text grows by its escapes on its way as JSON.
  const server = fastify({ bodyLimit: 2 * limits.uploadBytes + 10_000, forceCloseConnections: true });
  guard(server, options.loopback);
  // What a form of another page could send, without asking first.
  server.removeContentTypeParser('text/plain');
  await server.register(multipart, { limits: { fields: 10, fieldSize: 1_000 }, throwFileSizeLimit: false });
  await server.register(statics, { root: options.page, prefix: '/page/', index: false, cacheControl: false });

  server.setErrorHandler((error, _request, reply) => {
    const { status, message } = answerTo(error);
    return reply.status(status).send({ error: message } satisfies Refusal);
  });
  server.setNotFoundHandler((_request, reply) =>
    reply.status(404).send({ error: 'There is nothing at this address.' } satisfies Refusal),
  );

  server.get('/', (_request, reply) => reply.sendFile('index.html'));
  server.get('/favicon.ico', (_request, reply) => reply.status(204).send());
  server.get('/api/info', () => options.info());
  server.get('/api/jobs', () => jobs.list());

  server.post('/api/jobs', async (request, reply): Promise<Job> => {
    const job = await (request.isMultipart() ? requests.fromFiles(request) : requests.fromJson(request.body));
    void reply.status(201);
    return job;
  });

  server.post<{ Params: { id: string } }>('/api/jobs/:id/cancel', ({ params }) => jobs.cancel(params.id));

  server.get<{ Querystring: { user?: unknown } }>('/api/events', async (request, reply) => {
    const user = checkUser(request.query.user);
    reply.hijack();
    await events.join(request.raw, reply.raw, user, () => jobs.list(user), options.database);
  });

  server.get<{ Querystring: { q?: unknown; limit?: unknown } }>('/api/search', async (request, reply) => {
    const query = questionIn(request.query.q);
    const limit = Math.min(MAX_HITS, Math.max(1, Math.trunc(Number(request.query.limit ?? 20)) || 20));
    const hits = query === '' ? [] : await options.search(query, limit);
    void reply.type('application/x-ndjson; charset=utf-8');
    return reply.send(hits.map((hit) => `${JSON.stringify(hit)}\n`).join(''));
  });
  return server;
}

function questionIn(query: unknown): string {
  if (typeof query !== 'string') throw new RefusedError(400, 'The question is missing: ?q=words');
  if (query.length > MAX_QUERY) throw new RefusedError(400, `A question has at most ${MAX_QUERY} characters.`);
  return query.replaceAll('\0', ' ').trim();
}

function answerTo(error: unknown): { status: number; message: string } {
  if (error instanceof RefusedError) return { status: error.status, message: error.message };
  // Whatever is thrown comes here, not only the framework's own.
  const { statusCode = 500, code }: Partial<FastifyError> = error instanceof Error ? error : {};
  if (code === 'FST_FILES_LIMIT') return { status: 413, message: 'These are too many files for one upload.' };
  if (statusCode === 413) return { status: 413, message: 'The upload is too large.' };
  if (statusCode === 415)
    return { status: 415, message: 'Send JSON (application/json) or files (multipart/form-data).' };
  return { status: statusCode, message: reasonOf(error) };
}
