import * as zlib from 'node:zlib';

/** Above this many bytes the native checksum is worth its call. */
const NATIVE_FROM = 512;

/** Node has it from 20.15 on. */
const native = (zlib as { crc32?: (data: Uint8Array, initial: number) => number }).crc32;

/** CRC-32, as in zip and PNG, of the bytes `[from, to)`; `initial` is that of the bytes before. */
export function crc32(view: DataView, from = 0, to = view.byteLength, initial = 0): number {
  if (native !== undefined && to - from > NATIVE_FROM) {
    return native(new Uint8Array(view.buffer, view.byteOffset + from, to - from), initial);
  }
  return tableChecksum(view, from, to, initial);
}

/** The bytes as words of any width; to be made once for many lines, since it costs as much as the checksum of one. */
export function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** Eight tables of 256: what a byte does to the checksum when it is followed by 0…7 others. */
const TABLES = new Int32Array(8 * 256);
for (let byte = 0; byte < 256; byte++) {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  TABLES[byte] = value;
}
for (let at = 256; at < TABLES.length; at++) {
  const before = TABLES[at - 256] ?? 0;
  TABLES[at] = (before >>> 8) ^ (TABLES[before & 255] ?? 0);
}

/* eslint-disable @typescript-eslint/no-non-null-assertion -- no index can leave the tables: `?? 0` would double the time of
   the hottest loop there is */
/** Eight bytes at a time: five times faster than the native one for a line of 100 bytes, whose time is all call. */
export function tableChecksum(view: DataView, from: number, to: number, initial: number): number {
  const tables = TABLES; // in the bundle it is a `var`, which would be read anew for each byte
  let sum = ~initial;
  let at = from;
  for (; at + 8 <= to; at += 8) {
    const low = sum ^ view.getInt32(at, true);
    const high = view.getInt32(at + 4, true);
    sum =
      tables[1792 + (low & 255)]! ^
      tables[1536 + ((low >>> 8) & 255)]! ^
      tables[1280 + ((low >>> 16) & 255)]! ^
      tables[1024 + (low >>> 24)]! ^
      tables[768 + (high & 255)]! ^
      tables[512 + ((high >>> 8) & 255)]! ^
      tables[256 + ((high >>> 16) & 255)]! ^
      tables[high >>> 24]!;
  }
  for (; at < to; at++) sum = tables[(sum ^ view.getUint8(at)) & 255]! ^ (sum >>> 8);
  return ~sum >>> 0;
}
