import { spawn } from 'node:child_process';
import { networkInterfaces } from 'node:os';

const OPENERS: Partial<Record<NodeJS.Platform, [command: string, ...args: string[]]>> = {
  darwin: ['open'],
  win32: ['cmd', '/c', 'start', ''],
};

/** If there is none to open, the address is on the screen. */
export function openBrowser(address: string): void {
  const [command, ...args] = OPENERS[process.platform] ?? ['xdg-open'];
  const child = spawn(command, [...args, address], { stdio: 'ignore', detached: true });
  child.on('error', () => undefined);
  child.unref();
}

/** Where other machines of the network find a server that listens on all addresses. */
export function addressesFor(address: string): string[] {
  const { port } = new URL(address);
  const interfaces = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return interfaces
    .filter(({ internal, family }) => !internal && family === 'IPv4')
    .map((each) => `http://${each.address}:${port}`);
}
