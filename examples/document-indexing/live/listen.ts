import type { FastifyInstance } from 'fastify';

/** Ports that are tried, from the usual one on. */
const TRIED = 20;

/** Resolves to the address of the page. The same port at every start, as long as it is free, keeps bookmarks right. */
export async function listenOn(
  server: FastifyInstance,
  host: string,
  { number, exact }: { number: number; exact: boolean },
): Promise<string> {
  for (let port = number; ; port += 1) {
    try {
      return await server.listen({ host, port });
    } catch (error) {
      const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (exact || !taken || port - number >= TRIED) throw error;
    }
  }
}
