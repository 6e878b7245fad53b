import { isIP } from 'node:net';
import { hostname } from 'node:os';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { RefusedError } from './refusal.js';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]', '::1']);

export function isLoopback(host: string): boolean {
  return LOOPBACK.has(host);
}

const HEADERS = {
  'content-security-policy': `default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
} as const;

export const securityHeaders: Readonly<Record<string, string>> = HEADERS;

/**
 * There is no password: who may ask is who can reach the address, and no page of another site in this browser. `host`
 * is where it listens: the names of that address are accepted, and another name that leads here (DNS rebinding) is not.
 */
export function guard(server: FastifyInstance, host: string): void {
  const accepts = isLoopback(host) ? isLoopback : (name: string) => isOwnName(name, host);
  server.addHook('onRequest', async (request) => {
    checkHost(request, accepts);
    if (request.url.startsWith('/api/')) checkSite(request);
    if (request.method !== 'GET' && request.method !== 'HEAD') checkOrigin(request);
  });
  server.addHook('onSend', async (_request, reply) => {
    void reply.headers(HEADERS);
  });
}

function checkHost({ headers }: FastifyRequest, accepts: (name: string) => boolean): void {
  const name = (headers.host ?? '').replace(/:\d+$/, '').toLowerCase();
  if (!accepts(name)) throw new RefusedError(403, 'This server is not known by that name: open it by its address.');
}

/** A name that others gave to this address is neither a number nor what this machine calls itself. */
function isOwnName(name: string, host: string): boolean {
  const own = hostname().toLowerCase();
  const bare = name.replace(/^\[(.*)\]$/, '$1');
  return isLoopback(name) || isIP(bare) !== 0 || [host.toLowerCase(), own, `${own}.local`].includes(name);
}

/** Browsers say where a request comes from. */
function checkSite({ headers }: FastifyRequest): void {
  const site = headers['sec-fetch-site'];
  if (site === 'cross-site' || site === 'same-site') {
    throw new RefusedError(403, 'Pages of other addresses may not use this server.');
  }
}

/** A client that is no browser sends no origin, and could send any. */
function checkOrigin({ headers }: FastifyRequest): void {
  const { origin, host } = headers;
  if (origin === undefined) return;
  if (!URL.canParse(origin) || new URL(origin).host !== host) {
    throw new RefusedError(403, 'Pages of other addresses may not use this server.');
  }
}
