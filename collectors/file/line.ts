/** An item between its acceptance and its file. */
export class Line<Item> {
  /** No caller waits for it any more: it must not be stored. */
  refused = false;
  /** Of the first line of a group that is stored: takes the group back. Its callers may be refused before they hear of it. */
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
