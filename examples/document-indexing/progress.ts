import { Presets, SingleBar } from 'cli-progress';
import { count, counted, printable } from './printable.js';

export interface Counts {
  files: number;
  sections: number;
  stored: number;
}

export interface Progress {
  update(counts: Readonly<Counts>): void;
  /** A message between the steps; it stays on the screen. */
  note(message: string): void;
  stop(): void;
}

const LINE_EVERY = 1_000;

export function showProgress(total: number, output: NodeJS.WriteStream): Progress {
  return output.isTTY ? progressBar(total, output) : progressLines(total, output);
}

function progressBar(total: number, output: NodeJS.WriteStream): Progress {
  const format = '[{bar}] {percentage}%  {value}/{total} files  {sections} sections  {stored} stored';
  // Drawn anew each time, since a note takes its line; and its own way of ending on Ctrl-C would be in the program's way.
  const options = { stream: output, format, barsize: 20, forceRedraw: true, gracefulExit: false };
  const bar = new SingleBar(options, Presets.legacy);
  bar.start(total, 0, { sections: '0', stored: '0' });
  return {
    update: ({ files, sections, stored }) => bar.update(files, { sections: count(sections), stored: count(stored) }),
    note: (message) => {
      // On the bar's line; the bar, which in the end returns to the position saved last, goes on below.
      output.write(`\r\u001b[K${printable(message)}\n\u001b7`);
    },
    stop: () => bar.stop(),
  };
}

function progressLines(total: number, output: NodeJS.WriteStream): Progress {
  let latest: Readonly<Counts> = { files: 0, sections: 0, stored: 0 };
  let written: Readonly<Counts> | undefined;
  const write = (): void => {
    if (latest === written) return;
    written = latest;
    const { files, sections, stored } = latest;
    output.write(
      `${count(files)} of ${counted(total, 'file')}, ${counted(sections, 'section')}, ${count(stored)} stored\n`,
    );
  };
  const timer = setInterval(write, LINE_EVERY);
  return {
    update: (counts) => {
      latest = { ...counts };
    },
    note: (message) => {
      output.write(`${printable(message)}\n`);
    },
    stop: () => {
      clearInterval(timer);
      write();
    },
  };
}
