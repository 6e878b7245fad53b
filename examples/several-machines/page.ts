// A page that shows the machines: what each is, whether it lives, how often it has died, and what it has done.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Machine {
  name: string;
  pid: number | undefined;
  alive: boolean;
  deaths: number;
  /** Texts embedded, chunks read or chunks stored by this process. */
  done: number;
}
export interface Status {
  machines: Machine[];
  stored: number;
  total: number | undefined;
}

const html = `<!doctype html><meta charset="utf-8"><title>Several machines</title>
<style>body{font:16px system-ui;margin:2rem;max-width:50rem}table{border-collapse:collapse;width:100%}
td,th{padding:.4rem .8rem;text-align:left;border-bottom:1px solid #ccc}.dead{color:#b00020}progress{width:100%}</style>
<h1>Several machines</h1><p id="stored" aria-live="polite"></p><progress id="bar" max="1" value="0"></progress>
<table><thead><tr><th>process</th><th>pid</th><th>state</th><th>deaths</th><th>done</th></tr></thead><tbody></tbody></table>
<p>Kill any of them: <code>kill -9 PID</code>. It is started again, and every chunk is stored exactly once.</p>
<script>
async function look() {
  const status = await (await fetch('/status')).json().catch(() => undefined);
  document.querySelector('#stored').textContent = status.stored + ' of ' + (status.total ?? '?') + ' chunks are stored';
  document.querySelector('#bar').value = status.total ? status.stored / status.total : 0;
  document.querySelector('tbody').replaceChildren(...status.machines.map((machine) => {
    const row = document.createElement('tr');
    for (const text of [machine.name, machine.pid, machine.alive ? 'runs' : 'dead', machine.deaths, machine.done])
      row.insertCell().textContent = text;
    row.className = machine.alive ? '' : 'dead';
    return row;
  }));
}
setInterval(() => look().catch(() => {}), 300);
</script>`;

/** Resolves to its address. It does not keep the process alive. */
export async function showPage(status: () => Status, port = 0): Promise<string> {
  const server = createServer((request, response) => {
    const json = request.url === '/status';
    response.setHeader('content-type', json ? 'application/json' : 'text/html; charset=utf-8');
    response.end(json ? JSON.stringify(status()) : html);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  server.unref();
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}
