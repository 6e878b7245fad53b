import { connect, type NatsConnection } from '@nats-io/transport-node';

export interface Item {
  n: number;
  poison?: boolean;
}

/** The item that no sink takes. */
export const poison = 777;

export function itemOf(n: number): Item {
  return n === poison ? { n, poison: true } : { n };
}

/** `servers`: addresses, separated by commas; the first is taken while it answers. */
export function connectTo(servers: string | undefined): Promise<NatsConnection> {
  return connect({
    servers: (servers ?? '').split(','),
    noRandomize: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
    reconnectJitter: 20,
  });
}

export function number(name: string, otherwise: number): number {
  const value = process.env[name];
  return value === undefined ? otherwise : Number(value);
}

export function say(message: Record<string, unknown>): void {
  process.send?.(message);
}

export function sleep(delay: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delay);
  });
}

/** Resolves when the parent says so. */
export function told(what: string): Promise<void> {
  return new Promise((resolve) => {
    process.on('message', (message) => {
      if (message === what) resolve();
    });
  });
}
