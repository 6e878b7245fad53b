import { headers, type Msg, type MsgHdrs, type NatsConnection, type Subscription } from '@nats-io/transport-node';
import { OptionsError } from '../../src/index.js';
import { wrong } from '../feed-options.js';

export type { NatsConnection };

/** A name becomes a token of subjects and part of a stream's name. @throws OptionsError */
export function checkName(owner: string, name: unknown, option = 'name'): string {
  if (typeof name === 'string' && /^[\w-]{1,200}$/.test(name)) return name;
  const expected = 'letters, digits, _ and -';
  throw new OptionsError(`${owner}: ${option} must consist of ${expected}`, option, expected, name);
}

/** @throws OptionsError */
export function checkNumber(owner: string, option: string, value: unknown, least: number): void {
  if (value === undefined || (typeof value === 'number' && value >= least)) return;
  const expected = `a number from ${least}`;
  throw new OptionsError(
    `${owner}: ${option} must be ${expected}, and is ${typeof value === 'number' ? value : typeof value}`,
    option,
    expected,
    value,
  );
}

/** Refuses unknown options, a bad name, and what is no connection. @throws OptionsError */
export function checkOptions(owner: string, options: object, names: readonly string[]): void {
  for (const [option, given] of Object.entries(options)) {
    if (!names.includes(option)) throw wrong(option, 'no such option', given, owner);
  }
  const { connection, name } = options as { connection?: { publish?: unknown } | null; name: unknown };
  checkName(owner, name);
  if (typeof connection?.publish !== 'function') {
    throw wrong('connection', 'a connection of NATS', connection, owner);
  }
}

/** Bytes that a message may have. */
export function largestMessage(connection: NatsConnection): number {
  return connection.info?.max_payload ?? 1_048_576;
}

export function headersOf(fields: Readonly<Record<string, string | number>>): MsgHdrs {
  const made = headers();
  for (const [key, value] of Object.entries(fields)) made.set(key, String(value));
  return made;
}

export function sleep(delay: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delay);
  });
}

/** Calls back for each message; what is no message of our protocol, so that the callback throws, is left alone. */
export function listen(
  connection: NatsConnection,
  subject: string,
  callback: (message: Msg) => void,
  queue?: string,
): Subscription {
  const contained = (error: Error | null, message: Msg): void => {
    if (error !== null) return; // the subscription has ended
    try {
      callback(message);
    } catch {
      // Any client may publish on a subject, and a callback that throws would end the connection's reader.
    }
  };
  return connection.subscribe(subject, { callback: contained, ...(queue !== undefined && { queue }) });
}
