import { MultiBar, Presets } from 'cli-progress';
import type { SingleBar } from 'cli-progress';
import { count, counted, print, printable } from '../printable.js';
import type { Job } from '../protocol.js';
import { isOver, outcomeOf } from './job-progress.js';

const SHOW_EVERY = 500;
const LINES_EVERY = 2_000;

/** Shows how the jobs go on, as bars in a terminal and as lines elsewhere; the function that it returns ends that. */
export function showJobs(list: () => Job[], output: NodeJS.WriteStream): () => void {
  return output.isTTY ? showBars(list, output) : showLines(list);
}

function showBars(list: () => Job[], output: NodeJS.WriteStream): () => void {
  // A narrow terminal would wrap each bar, and draw it over the one above.
  const narrow = output.columns < 70;
  const format = narrow ? '{stored}/{all} {name}' : '[{bar}] {stored}/{all} {name}  {speed}/s  {state}';
  const multi = new MultiBar(
    { stream: output, format, barsize: 20, gracefulExit: false, hideCursor: false, linewrap: false },
    Presets.legacy,
  );
  // Those of an earlier start that were over before this one.
  const bars = new Map<string, SingleBar | undefined>(
    list()
      .filter(isOver)
      .map(({ id }) => [id, undefined]),
  );
  const show = (): void => {
    for (const job of list().reverse()) {
      const { id, chunks, chunksPerSecond } = job;
      if (!bars.has(id)) bars.set(id, multi.create(1, 0));
      const bar = bars.get(id);
      if (bar === undefined) continue;
      const total = Math.max(1, chunks.total ?? chunks.read);
      bar.setTotal(total);
      bar.update(isOver(job) ? total : Math.min(total, chunks.stored), {
        name: printable(`${job.name} (${job.user})`),
        stored: count(chunks.stored),
        // `total` is the bar's own number, without separators.
        all: chunks.total === undefined ? `${count(chunks.read)}+` : count(chunks.total),
        speed: count(chunksPerSecond),
        state: printable(job.message ?? reasonAfter(job)),
      });
    }
  };
  const timer = setInterval(show, SHOW_EVERY);
  return () => {
    clearInterval(timer);
    show();
    multi.stop();
  };
}

function showLines(list: () => Job[]): () => void {
  const shown = new Map<string, string>();
  let first = true;
  const show = (): void => {
    for (const job of list().reverse()) {
      const line = lineOf(job);
      if (shown.get(job.id) === line) continue;
      shown.set(job.id, line);
      if (!first || !isOver(job)) print([line]);
    }
    first = false;
  };
  show();
  const timer = setInterval(show, LINES_EVERY);
  return () => {
    clearInterval(timer);
    show();
  };
}

/** The outcome, and the first of its problems. */
function reasonAfter(job: Job): string {
  const [problem] = job.problems;
  const outcome = outcomeOf(job);
  if (problem === undefined || !isOver(job)) return outcome;
  const others = Math.max(job.files.failed + job.chunks.refused, job.problems.length) - 1;
  const more = others > 0 ? `, and ${count(others)} more` : '';
  return `${outcome} (${problem.path}: ${problem.message}${more})`;
}

function lineOf(job: Job): string {
  const { name, user, chunks, message } = job;
  const total = chunks.total === undefined ? counted(chunks.read, 'chunk') + ' read' : counted(chunks.total, 'chunk');
  const why = message === undefined ? '' : `: ${message}`;
  return printable(`${name} (${user}) ${reasonAfter(job)}: ${count(chunks.stored)} stored of ${total}${why}`);
}
