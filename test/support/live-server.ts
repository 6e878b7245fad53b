import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Events, Hit, Job } from '../../examples/document-indexing/protocol.js';
import { bundledIndexing } from './bundled-indexing.js';
import { newDatabase } from './new-database.js';

/** The machine may be busy with something else. */
const PATIENCE = 120_000;

/** Processes of the test file. */
const started = new Set<ChildProcess>();

/** Ends with the test file, whatever its tests come to. */
export function endLater(child: ChildProcess): void {
  started.add(child);
}

/** A folder that is removed after the tests of the file, once the programs that write to it were ended; `release` is called in between. */
export function scratch(release: () => void = () => {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'live-'));
  afterAll(async () => {
    for (const child of started) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    release();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }, PATIENCE);
  return folder;
}

/** Documents of so many sections each; every section has words of its own. */
export async function writeDocuments(folder: string, files: number, sections: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (let file = 0; file < files; file += 1) {
    const text = Array.from(
      { length: sections },
      (_, i) => `# Section ${i}\n\nWhat file ${file} says about topic${file * sections + i} is said here.\n`,
    );
    await writeFile(join(folder, `${file}.md`), text.join('\n'));
  }
}

/** The events that came, in order; `ended` resolves when there will be no more. */
export type Told = { [Name in 'jobs' | 'job' | 'batch']: Events[Name][] } & { ended: Promise<void> };

export class LiveServer {
  private constructor(
    readonly child: ChildProcess,
    readonly address: string,
    readonly output: () => string,
  ) {}

  /** The program in a process of its own, on a free port; it ends with the test file, if no test ends it. */
  static async start(args: readonly string[], environment: Record<string, string> = {}): Promise<LiveServer> {
    const data = args[args.indexOf('--data') + 1] ?? '';
    if (environment['DATABASE_URL'] === undefined) await newDatabase(join(data, 'postgres'));
    const port = args.includes('--port') ? [] : ['--port', '0'];
    const child = spawn(process.execPath, [await bundledIndexing(), ...port, ...args], {
      env: { ...process.env, DATABASE_URL: '', EMBEDDINGS_URL: '', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    endLater(child);
    let output = '';
    const address = await new Promise<string>((resolveAddress, reject) => {
      const read = (text: string): void => {
        output += text;
        const found = /^Open (http:\S+) /m.exec(output);
        if (found?.[1] !== undefined) resolveAddress(found[1]);
      };
      child.stdout.setEncoding('utf8').on('data', read);
      child.stderr.setEncoding('utf8').on('data', read);
      child.once('exit', (code) => reject(new Error(`ended with ${String(code)}: ${output}`)));
    });
    return new LiveServer(child, address, () => output);
  }

  /** Resolves to the exit code, or the signal. */
  async end(signal: NodeJS.Signals = 'SIGINT'): Promise<number | NodeJS.Signals | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = once(this.child, 'exit');
      this.child.kill(signal);
      await ended;
    }
    return this.child.exitCode ?? this.child.signalCode;
  }

  /** From now on requests wait until it is resumed, and are then served at the same time. */
  pause(): void {
    this.child.kill('SIGSTOP');
  }

  async resume(): Promise<void> {
    // By then requests that were just made wait in its sockets.
    await sleep(1_000);
    this.child.kill('SIGCONT');
  }

  async get<T>(path: string): Promise<T> {
    return (await fetch(`${this.address}${path}`)).json() as Promise<T>;
  }

  post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    const type = { 'content-type': 'application/json' };
    return fetch(`${this.address}${path}`, {
      method: 'POST',
      headers: { ...type, ...headers },
      body: JSON.stringify(body),
    });
  }

  /** A job over a directory. */
  async index(user: string, path: string): Promise<Job> {
    const response = await this.post('/api/jobs', { user, source: { kind: 'directory', path } });
    if (response.status !== 201) throw new Error(await response.text());
    return (await response.json()) as Job;
  }

  async job(id: string): Promise<Job> {
    const job = (await this.get<Job[]>('/api/jobs')).find((each) => each.id === id);
    if (job === undefined) throw new Error(`there is no job ${id}`);
    return job;
  }

  /** Asks until it is so. */
  async until(id: string, isSo: (job: Job) => boolean): Promise<Job> {
    const start = performance.now();
    for (;;) {
      const job = await this.job(id);
      if (isSo(job)) return job;
      if (performance.now() - start > PATIENCE) throw new Error(`still ${JSON.stringify(job)}`);
      await sleep(20);
    }
  }

  /** The events of a page of that user from now on; resolves once it is connected. */
  async events(user: string): Promise<Told> {
    const response = await fetch(`${this.address}/api/events?user=${user}`);
    const told: Omit<Told, 'ended'> = { jobs: [], job: [], batch: [] };
    const read = async (): Promise<void> => {
      let text = '';
      for await (const piece of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
        text += piece;
        const messages = text.split('\n\n');
        text = messages.pop() ?? '';
        for (const message of messages) {
          const [, name] = /^event:(.*)$/m.exec(message) ?? [];
          const [, data] = /^data:(.*)$/m.exec(message) ?? [];
          if (name === 'jobs' || name === 'job' || name === 'batch') told[name].push(JSON.parse(data ?? '') as never);
        }
      }
    };
    // It ends with the server.
    return { ...told, ended: read().catch(() => undefined) };
  }

  async search(query: string): Promise<Hit[]> {
    const response = await fetch(`${this.address}/api/search?q=${encodeURIComponent(query)}`);
    const lines = (await response.text()).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Hit);
  }
}

/** Asks the embedded database in a data folder that no server has open. */
export async function ask<Row>(data: string, sql: string, parameters: unknown[] = []): Promise<Row[]> {
  const script = resolve('test/support/ask-database.mjs');
  const args = [script, join(data, 'postgres'), sql, JSON.stringify(parameters)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as Row[];
}
