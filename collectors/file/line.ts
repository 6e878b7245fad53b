/** An item between its acceptance and its file. */
export class Line<Item> {
  /** No caller waits for it any more: it must not be stored. */
  refused = false;
  /** Takes a stored group back, whose first line this is: its callers may be refused before they get their answer. */
  takeBack: (() => void) | undefined;

  constructor(
    readonly item: Item,
    readonly text: string,
    /** 0 when it is not asked for. */
    readonly bytes: number,
  ) {}
}

export function sizeOf(lines: readonly Line<unknown>[]): number {
  return lines.reduce((sum, line) => sum + line.bytes, 0);
}
