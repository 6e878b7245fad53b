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
 * There is no password: who may ask is who can reach the address, and no page of somebody else in this browser.
 * `loopback`: only names of this machine are it; another name that leads here (DNS rebinding) is refused.
 */
export function guard(server: FastifyInstance, loopback: boolean): void {
  server.addHook('onRequest', async (request) => {
    if (loopback) checkHost(request);
    if (request.url.startsWith('/api/')) checkSite(request);
    if (request.method !== 'GET' && request.method !== 'HEAD') checkOrigin(request);
  });
  server.addHook('onSend', async (_request, reply) => {
    void reply.headers(HEADERS);
  });
}

function checkHost({ headers }: FastifyRequest): void {
  const name = (headers.host ?? '').replace(/:\d+$/, '');
  if (!isLoopback(name)) throw new RefusedError(403, 'This server is for its own machine: open it as 127.0.0.1.');
}

/** Browsers say where a request comes from. */
function checkSite({ headers }: FastifyRequest): void {
  const site = headers['sec-fetch-site'];
  if (site === 'cross-site' || site === 'same-site') {
    throw new RefusedError(403, 'Pages of other addresses may not use this server.');
  }
}

/** Whoever is no browser sends no origin, and could send any. */
function checkOrigin({ headers }: FastifyRequest): void {
  const { origin, host } = headers;
  if (origin === undefined) return;
  if (!URL.canParse(origin) || new URL(origin).host !== host) {
    throw new RefusedError(403, 'Pages of other addresses may not use this server.');
  }
}
