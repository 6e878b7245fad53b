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
      if (exact || !taken || port - number >= TRIED) throw new Error(whyNot(error, host, port), { cause: error });
    }
  }
}

function whyNot(error: unknown, host: string, port: number): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const what = `cannot listen on port ${port} of ${host}`;
  if (code === 'EADDRINUSE') return `${what}: another process has it; --port 0 takes one that is free`;
  if (code === 'EACCES') return `${what}: permission denied; --port 1024 and above need none`;
  if (code === 'ENOTFOUND' || code === 'EADDRNOTAVAIL') {
    return `${what}: --host must be an address or a name of this machine, such as 127.0.0.1 or 0.0.0.0`;
  }
  return `${what}: ${message}`;
}
