import { GIFEncoder, applyPalette, quantize } from 'gifenc';
import { PNG } from 'pngjs';

/** The last of 64 means: as in the frame before. */
const COLOURS = 63;
/** Of so many frames one counts for the palette. */
const SAMPLE = 6;

/** A GIF of screenshots of one size, `delay` milliseconds apart. */
export function animationOf(screenshots: readonly Buffer[], delay: number): Uint8Array {
  const gif = GIFEncoder();
  const frames = screenshots.map((screenshot) => PNG.sync.read(screenshot));
  // One palette for all, of frames of the whole time: users come and go, and each has a colour.
  const palette = quantize(Buffer.concat(frames.filter((_, i) => i % SAMPLE === 0).map(({ data }) => data)), COLOURS);
  const transparent = { transparent: true, transparentIndex: COLOURS, dispose: 1 };
  let before: Uint8Array | undefined;
  for (const { data, width, height } of frames) {
    const pixels = applyPalette(data, palette);
    // Most of the page does not change, and the same colour again and again takes little room.
    const changed = pixels.map((colour, i) => (before?.[i] === colour ? COLOURS : colour));
    gif.writeFrame(changed, width, height, { palette: [...palette, [0, 0, 0]], delay, ...transparent });
    before = pixels;
  }
  gif.finish();
  return gif.bytes();
}
