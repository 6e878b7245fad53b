import { createReadStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import multipart from '@fastify/multipart';
import statics from '@fastify/static';
import fastify from 'fastify';
import type { FastifyError, FastifyInstance } from 'fastify';
import { reasonOf } from '../printable.js';
import type { Code, DocumentText, Info, Job, Refusal } from '../protocol.js';
import type { EventStream, Picture } from './event-stream.js';
import { guard } from './guards.js';
import type { Jobs } from './jobs.js';
import { RefusedError } from './refusal.js';
import { checkUser, MAX_USERS } from './requests.js';
import type { JobRequests, Limits } from './requests.js';
import { MAX_QUERY } from './search.js';
import type { Answer } from './search.js';
import type { Simulation } from './simulation.js';

export interface WebOptions {
  /** Where the page's files are. */
  page: string;
  host: string;
  limits: Limits;
  jobs: Jobs;
  requests: JobRequests;
  events: EventStream;
  simulation: Simulation;
  info(): Info;
  picture(users: ReadonlySet<string>): Picture;
  search(query: string, limit: number): Promise<Answer>;
  document(path: string): Promise<DocumentText>;
  code(name: string): Promise<Code>;
}

const MAX_HITS = 100;
const FIELDS = 10;

export async function webServer(options: WebOptions): Promise<FastifyInstance> {
  const { limits, jobs, requests, events } = options;
  // Text grows by its escapes when it is sent as JSON.
  const server = fastify({ bodyLimit: 2 * limits.uploadBytes + 10_000, forceCloseConnections: true });
  guard(server, options.host);
  // What a form of another page could send, without asking first.
  server.removeContentTypeParser('text/plain');
  // One part more than files and fields may make, so that it is never the number of parts that is complained of.
  const parts = limits.files + FIELDS + 1;
  const multipartLimits = { fields: FIELDS, fieldSize: 1_000, files: limits.files, parts };
  await server.register(multipart, { limits: multipartLimits, throwFileSizeLimit: false });
  await server.register(statics, { root: options.page, prefix: '/page/', index: false, cacheControl: false });

  server.setErrorHandler((error, _request, reply) => {
    const { status, message } = answerTo(error, limits);
    return reply.status(status).send({ error: message } satisfies Refusal);
  });
  server.setNotFoundHandler((_request, reply) =>
    reply.status(404).send({ error: 'There is nothing at this address.' } satisfies Refusal),
  );

  server.get('/', (_request, reply) => reply.sendFile('index.html'));
  // What is shown of documents is rendered in the browser, by a library that comes as one file.
  const marked = fileURLToPath(import.meta.resolve('marked'));
  server.get('/page/vendor/marked.js', (_request, reply) =>
    reply.type('text/javascript; charset=utf-8').send(createReadStream(marked)),
  );
  server.get('/favicon.ico', (_request, reply) => reply.status(204).send());
  server.get('/api/info', () => options.info());
  server.get('/api/jobs', () => jobs.list());

  server.post('/api/jobs', async (request, reply): Promise<Job> => {
    const job = await (request.isMultipart() ? requests.fromFiles(request) : requests.fromJson(request.body));
    void reply.status(201);
    return job;
  });

  server.post<{ Params: { id: string } }>('/api/jobs/:id/cancel', ({ params }) => jobs.cancel(params.id));

  server.post<{ Body: { running?: unknown } | null }>('/api/simulation', ({ body }) => {
    if (body?.running === true) options.simulation.start();
    else options.simulation.stop();
    return options.simulation.state;
  });

  server.get<{ Querystring: { user?: unknown } }>('/api/events', async (request, reply) => {
    const asked = [request.query.user].flat();
    if (asked.length > MAX_USERS) throw new RefusedError(400, `A page follows at most ${MAX_USERS} users.`);
    const users = new Set(asked.map(checkUser));
    reply.hijack();
    await events.join(request.raw, reply.raw, users, () => options.picture(users));
  });

  server.get<{ Querystring: { path?: unknown } }>('/api/document', ({ query }) => {
    if (typeof query.path !== 'string') throw new RefusedError(400, 'The document is missing: ?path=');
    return options.document(query.path.replaceAll('\0', ' '));
  });

  server.get<{ Params: { name: string } }>('/api/code/:name', ({ params }) => options.code(params.name));

  server.get<{ Querystring: { q?: unknown; limit?: unknown } }>('/api/search', async (request, reply) => {
    const query = questionIn(request.query.q);
    const limit = Math.min(MAX_HITS, Math.max(1, Math.trunc(Number(request.query.limit ?? 20)) || 20));
    const { hits, corrected, wordsOnly }: Answer = query === '' ? { hits: [] } : await options.search(query, limit);
    if (corrected !== undefined) void reply.header('search-corrected', encodeURIComponent(corrected));
    if (wordsOnly !== undefined) void reply.header('search-words-only', encodeURIComponent(wordsOnly));
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

function answerTo(error: unknown, { files }: Limits): { status: number; message: string } {
  if (error instanceof RefusedError) return { status: error.status, message: error.message };
  // Whatever is thrown comes here, not only the framework's own.
  const { statusCode, code, message }: Partial<FastifyError> = error instanceof Error ? error : {};
  if (code === 'FST_FILES_LIMIT' || code === 'FST_PARTS_LIMIT') {
    return { status: 413, message: `An upload may have ${files.toLocaleString('en')} files.` };
  }
  if (code === 'FST_FIELDS_LIMIT')
    return { status: 413, message: `An upload may have ${FIELDS} fields beside its files.` };
  if (statusCode === 413) return { status: 413, message: 'The upload is too large.' };
  if (statusCode === 415)
    return { status: 415, message: 'Send JSON (application/json) or files (multipart/form-data).' };
  // The parser of forms throws plain errors: what it cannot read is the client's.
  if (statusCode === undefined && /multipart|boundary|unexpected end of form/i.test(message ?? '')) {
    return { status: 400, message: `The upload cannot be read: ${reasonOf(error)}.` };
  }
  return { status: statusCode ?? 500, message: reasonOf(error) };
}
