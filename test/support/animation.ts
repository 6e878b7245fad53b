import { GIFEncoder, applyPalette, quantize } from 'gifenc';
import { PNG } from 'pngjs';

/** Each side of a frame is divided by it. */
const SMALLER = 2;
const COLOURS = 64;

/** A GIF of screenshots, at half their size. */
export function animationOf(screenshots: readonly Buffer[], delay: number): Uint8Array {
  const gif = GIFEncoder();
  const frames = screenshots.map((screenshot) => halved(PNG.sync.read(screenshot)));
  // One palette for all, of the last frame: it has all the users.
  const palette = quantize(frames.at(-1)?.data ?? new Uint8Array(), COLOURS);
  for (const { data, width, height } of frames) {
    gif.writeFrame(applyPalette(data, palette), width, height, { palette, delay });
  }
  gif.finish();
  return gif.bytes();
}

/** Each pixel is the mean of four. */
function halved({ data, width, height }: PNG): { data: Uint8Array; width: number; height: number } {
  const [columns, rows] = [Math.floor(width / SMALLER), Math.floor(height / SMALLER)];
  const small = new Uint8Array(columns * rows * 4);
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      for (let channel = 0; channel < 4; channel += 1) {
        const at = (row: number, column: number): number =>
          data[((y * SMALLER + row) * width + x * SMALLER + column) * 4 + channel] ?? 0;
        small[(y * columns + x) * 4 + channel] = (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) >> 2;
      }
    }
  }
  return { data: small, width: columns, height: rows };
}
