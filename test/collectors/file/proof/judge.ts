import { DIRECTORY, type Ledger } from './ledger.js';

export function judge(ledger: Ledger): void {
  const { bytes, dead, returned } = leftovers(ledger);
  let missing = 0;
  let dropped = 0;
  for (const record of ledger.items) {
    // When a damaged batch fails in part, it is unknown which callers wait for the items that are left.
    const owed = record.owed && record.delivered < 0 && !record.harmed && !dead.includes(`"id":${record.id},`);
    if (owed && !bytes.includes(`"id":${record.id},`)) {
      ledger.bad(`A2: deliverItem(${record.id}) has resolved, and it was neither delivered nor put into quarantine/`);
    }
    if (record.said !== 'stored' || record.delivered >= 0) continue;
    const inQuarantine = bytes.includes(`"id":${record.id},`);
    if (returned.includes(`"id":${record.id},`)) {
      const clears = ledger.plan.generations.some(({ verbs }) => verbs > 0);
      if (!clears) ledger.bad(`G8: item ${record.id} is in returned/, and nobody took it back`);
      continue;
    }
    const inDead = dead.includes(`"id":${record.id},`);
    const givesUp = ledger.plan.generations.some(({ maxAttempts, retries, giveUp, final }) => {
      return maxAttempts < Infinity || ((retries < Infinity || final > 0) && giveUp !== 'hold');
    });
    if (inDead && !givesUp) {
      ledger.bad(`G14: item ${record.id} is in dead/ though nobody gave it up`);
    }
    if (inQuarantine && !ledger.damage)
      ledger.bad(`G10: item ${record.id} is in quarantine/ though nothing was damaged`);
    if (inQuarantine || inDead) continue;
    if (record.evicted && !record.harmed && !ledger.anyRemoval && ledger.ended.has(record.generation)) missing++;
    if (record.excused || record.harmed || ledger.hidden) continue;
    if (dropped < ledger.dropped) {
      dropped++;
      continue;
    }
    ledger.bad(`G1: item ${record.id} is lost (${record.durability}, of process ${record.generation})`);
  }
  if (
    missing > ledger.dropped &&
    ledger.anyEviction &&
    !ledger.lied &&
    ledger.powerLosses === 0 &&
    ledger.lost + ledger.unsynced === 0
  ) {
    ledger.bad(`G7: ${missing} stored items are lost without a word`);
  }
  judgeLosses(ledger);
  judgeDuplicates(ledger);
}

/** Whatever is done to the files, nothing is missing that was not counted, if every process could count. */
function judgeLosses(ledger: Ledger): void {
  if (
    !ledger.sabotaged ||
    ledger.hidden ||
    ledger.unaccountable ||
    ledger.unreadable ||
    ledger.anyEviction ||
    ledger.anyRemoval ||
    ledger.powerLosses > 0 ||
    ledger.dropped > 0
  )
    return;
  if (ledger.ended.size < ledger.plan.generations.length) return;
  const { bytes, dead, returned } = leftovers(ledger);
  const missing = ledger.items.filter(({ id, said, delivered }) => {
    const kept = [bytes, dead, returned].some((text) => text.includes(`"id":${id},`));
    return said === 'stored' && delivered < 0 && !kept;
  });
  if (missing.length > ledger.accounted) {
    const ids = missing.map(({ id }) => id).join(' ');
    ledger.bad(`G17: items ${ids} are missing, and ${ledger.accounted} are counted as lost or quarantined`);
  }
}

function judgeDuplicates(ledger: Ledger): void {
  // Nothing bounds what a disk undoes that has lied.
  if (ledger.lied && ledger.powerLosses > 0) return;
  // A crash may bring back a batch for each lane; what could not be removed comes back as well.
  let allowed = 0;
  let again = 0;
  for (const [index, { lanes, durability, slowPost, flushTimeout }] of ledger.plan.generations.entries()) {
    again += ledger.again[index]?.size ?? 0;
    if (again > allowed) {
      const before = ledger.plan.generations[index - 1]?.ending ?? 'nothing';
      ledger.bad(
        `G8: after ${before}, process ${index} delivers batches again: ${again} by now, ${allowed} are allowed`,
      );
      return;
    }
    // Without syncs nothing bounds what power loss undoes.
    if ((durability === 'none' || ledger.unsyncedNames.has(index)) && ledger.powerLosses > 0) return;
    // Nor while batchPostFlush takes longer than it may: it is tried again, and other batches are delivered meanwhile.
    if (slowPost > 0 && flushTimeout < Infinity) return;
    if (!ledger.closedCleanly.has(index)) allowed += lanes;
    allowed += ledger.notRemoved[index] ?? 0;
  }
}

function leftovers(ledger: Ledger): { bytes: string; dead: string; returned: string } {
  // Also in directories that were moved away.
  const text = (folder: string): string => {
    let sum = '';
    for (const [path, names] of ledger.disk.current) {
      if (!path.endsWith(folder)) continue;
      for (const { current } of names.values()) sum += Buffer.from(current).toString();
    }
    return sum;
  };
  for (const name of ledger.disk.current.get(DIRECTORY)?.keys() ?? []) {
    ledger.bad(`A6: ${name} is left behind`);
  }
  return { bytes: text('/quarantine'), dead: text('/dead'), returned: text('/returned') };
}
