import type { IndexingReport } from './indexing.js';
import { count, counted, printable, shortPath } from './printable.js';
import type { Hit } from './section-table.js';

export interface TableCounts {
  all: number;
  /** Rows of the documents of this run. */
  ofRun: number;
}

const UNREADABLE_SHOWN = 5;

export function summaryLines(report: IndexingReport, table: TableCounts): string[] {
  const { files, unreadable, sections, rows, batches, seconds } = report;
  const triggers = [...batches].map(([trigger, n]) => `${trigger} ${count(n)}`).join(', ');
  const total = [...batches.values()].reduce((sum, n) => sum + n, 0);
  const lines = [
    `files      ${count(files)} found, ${count(unreadable.length)} unreadable`,
    ...unreadable.slice(0, UNREADABLE_SHOWN).map(({ path, reason }) => `           ${shortPath(path)}: ${reason}`),
    ...(unreadable.length > UNREADABLE_SHOWN
      ? [`           and ${count(unreadable.length - UNREADABLE_SHOWN)} more`]
      : []),
    `sections   ${count(sections.added)} added, ${count(sections.delivered)} delivered`,
    `rows       ${count(rows.added)} new, ${count(rows.present)} already there, ${count(rows.removed)} out of date and removed`,
    `batches    ${count(total)}${total === 0 ? '' : ` by trigger: ${triggers}`}`,
    `speed      ${count(sections.delivered / seconds)} rows/s in ${seconds.toFixed(1)} s`,
    `table      ${count(table.all)} rows, ${count(table.ofRun)} of this run's documents`,
  ];
  const faults = disagreements(report, table);
  if (faults.length === 0) lines.push('counts     agree');
  else lines.push(...faults.map((fault) => `counts     DISAGREE: ${fault}`));
  return lines;
}

/** What should be equal and is not. */
export function disagreements(report: IndexingReport, table: TableCounts): string[] {
  const { sections, rows, interrupted } = report;
  const faults: string[] = [];
  if (sections.undelivered > 0) {
    faults.push(`${count(sections.added)} sections added, ${count(sections.delivered)} delivered`);
  }
  if (sections.delivered !== rows.added + rows.present) {
    faults.push(
      `${count(sections.delivered)} sections delivered, ${count(rows.added + rows.present)} rows new or already there`,
    );
  }
  // A document that was cut short by Ctrl-C may still have rows of an earlier run.
  if (!interrupted && table.ofRun !== sections.delivered) {
    faults.push(
      `${count(sections.delivered)} sections delivered, ${count(table.ofRun)} rows of these documents in the table`,
    );
  }
  return faults;
}

/** After Ctrl-C. */
export function interruptionLine(report: IndexingReport): string {
  const { delivered, undelivered } = report.sections;
  const stored = `Stopped. ${counted(delivered, 'section')} of ${counted(report.files, 'file')} are stored`;
  if (undelivered === 0) return `${stored}; run it again for the rest.`;
  return `${stored}; ${count(undelivered)} could not be delivered. Run it again for those and the rest.`;
}

export function hitLines(query: string, hits: readonly Hit[]): string[] {
  if (hits.length === 0) return [`Nothing found for "${printable(query)}".`];
  const lines = hits.flatMap(({ path, heading, snippet, rank }, i) => [
    `${i + 1}. ${shortPath(path)}${heading === '' ? '' : ` › ${printable(heading)}`}  (${rank.toFixed(2)})`,
    `   ${printable(snippet)}`,
  ]);
  return [`Best matches for "${printable(query)}":`, ...lines];
}
