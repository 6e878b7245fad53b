import { RequestError } from '@nats-io/transport-node';
import type { Call } from './call.js';
import type { NatsConnection } from './connection.js';
import type { Host, Hosts } from './hosts.js';
import { pack, subjects, type ProbeAnswer } from './wire.js';

/** The state that probes read, and their findings. */
export interface Probed {
  readonly hosts: Hosts;
  /** Calls in the queue that no host has taken yet. */
  queued(): readonly Call[];
  lost(host: string): void;
  missing(host: string, ids: readonly string[]): void;
  unaccepted(call: Call): void;
}

/** Milliseconds after which a call from the queue must have been taken. */
const acceptTimeout = 300;

/**
 * Asks hosts for calls that are late, while there are any: a host that has ended is known at once, as its subject has no
 * listener; one that is frozen or cut off does not answer within `probeTimeout`; one that has lost a call says so.
 */
export class Probes {
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly connection: NatsConnection,
    private readonly name: string,
    private readonly after: number,
    private readonly timeout: number,
    private readonly probed: Probed,
  ) {}

  start(): void {
    this.#timer ??= setInterval(() => this.#look(), this.after);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const now = performance.now();
    for (const host of this.probed.hosts.all()) {
      if (!host.probing && host.calls.size > 0) this.#ask(host, now);
    }
    for (const call of this.probed.queued()) {
      if (call.sentAt > 0 && now - call.sentAt > acceptTimeout) this.probed.unaccepted(call);
    }
  }

  #ask(host: Host, now: number): void {
    // A busy host is not silent, and may have lost one call all the same: it is asked for those that are old.
    const silent = now - host.heardAt >= this.after;
    const late: string[] = [];
    for (const call of host.calls) {
      if (call.sentAt === 0) continue;
      const due = call.askAt > 0 ? call.askAt : call.sentAt + (silent ? this.after : 5 * this.after);
      if (now < due) continue;
      call.askAt = now + 5 * this.after;
      late.push(call.id);
    }
    if (late.length === 0) return;
    host.probing = true;
    const { id } = host.card;
    this.connection.request(subjects.control(this.name, id), pack({ probe: late }), { timeout: this.timeout }).then(
      (message) => {
        host.probing = false;
        host.heardAt = performance.now();
        this.probed.missing(id, message.json<ProbeAnswer>().missing);
      },
      (error: unknown) => {
        host.probing = false;
        const nobody = error instanceof RequestError && error.isNoResponders();
        // An answer to something else that came meanwhile shows that it lives.
        if (nobody || performance.now() - host.heardAt >= this.timeout) this.probed.lost(id);
      },
    );
  }
}
