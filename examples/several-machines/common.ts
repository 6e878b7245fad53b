import { connect, type NatsConnection } from '@nats-io/transport-node';
import { JetStreamLog } from 'batch-please/nats';

export interface Chunk {
  /** The same text at the same place has the same id: what is delivered twice is stored once. */
  id: string;
  path: string;
  heading: string;
  content: string;
}

/**
 * `NATS_URL` says where the server is, `NATS_CREDS` (a file), or `NATS_USER` and `NATS_PASSWORD`, who we are, and `NATS_CA`
 * (a file; it also switches TLS on) whom to trust.
 */
export async function connectToServer(): Promise<NatsConnection> {
  const { readFile } = await import('node:fs/promises');
  const { credsAuthenticator } = await import('@nats-io/transport-node');
  const { NATS_URL = '127.0.0.1:4222', NATS_CREDS, NATS_USER, NATS_PASSWORD, NATS_CA } = process.env;
  return connect({
    servers: NATS_URL.split(','),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    waitOnFirstConnect: true,
    ...(NATS_USER !== undefined && { user: NATS_USER, pass: NATS_PASSWORD }),
    ...(NATS_CREDS !== undefined && { authenticator: credsAuthenticator(await readFile(NATS_CREDS)) }),
    ...(NATS_CA !== undefined && { tls: { caFile: NATS_CA } }),
  });
}

export function chunkLog(connection: NatsConnection): JetStreamLog<Chunk> {
  return new JetStreamLog<Chunk>({ connection, name: 'chunks' });
}

/** To the program that has started this one; to the terminal if a person has. */
export function say(message: Record<string, unknown>): void {
  if (process.send !== undefined) process.send(message);
  else console.log(Object.entries(message).map(([key, value]) => `${key}: ${String(value)}`).join(', ')); // prettier-ignore
}
