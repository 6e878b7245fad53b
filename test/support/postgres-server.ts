import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { endLater } from './live-server.js';
import { newDatabase } from './new-database.js';
import { portToKeep } from './ports.js';

const program = resolve('node_modules/@electric-sql/pglite-socket/dist/scripts/server.js');

/** A Postgres with vectors that is spoken to as any other, in a process of its own that can be killed and started again. */
export class PostgresServer {
  private constructor(
    readonly child: ChildProcess,
    readonly port: number,
  ) {}

  static async start(
    folder: string,
    port?: number,
    extensions = ['@electric-sql/pglite-pgvector:vector'],
  ): Promise<PostgresServer> {
    await newDatabase(folder);
    const args = [program, `--db=${folder}`, `--port=${port ?? (await portToKeep())}`, '--max-connections=8'];
    if (extensions.length > 0) args.push(`--extensions=${extensions.join(',')}`);
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    endLater(child);
    let output = '';
    const listening = await new Promise<number>((resolvePort, reject) => {
      const read = (text: string): void => {
        output += text;
        const found = /listening on \{"port":(\d+)/.exec(output);
        if (found?.[1] !== undefined) resolvePort(Number(found[1]));
      };
      child.stdout.setEncoding('utf8').on('data', read);
      child.stderr.setEncoding('utf8').on('data', read);
      child.once('exit', (code) => reject(new Error(`ended with ${String(code)}: ${output}`)));
    });
    return new PostgresServer(child, listening);
  }

  get address(): string {
    return `postgres://postgres:postgres@127.0.0.1:${this.port}/postgres?sslmode=disable`;
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }
}
