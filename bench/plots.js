// Draws the results as SVG. Plain JavaScript, as the packages that it needs are installed with the peers only.
import * as Plot from '@observablehq/plot';
import { JSDOM } from 'jsdom';

const COLORS = { floor: '#8b949e', ours: '#2f81f7', peer: '#d29922', cited: '#a371f7' };
/** The text follows the reader's scheme; the colors of the marks are readable on both. */
const STYLE =
  '<style>svg{color:#1f2328;background:transparent}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}</style>';

function render({ title, marks, ...options }) {
  const { document } = new JSDOM('').window;
  const svg = Plot.plot({
    document,
    style: { fontSize: '12px', fontFamily: 'system-ui, sans-serif' },
    marginTop: 40,
    marginBottom: 45,
    ...options,
    // A mark, since Plot's own title would make it HTML.
    marks: [
      ...marks,
      Plot.text([title], { frameAnchor: 'top-left', dy: -32, fontSize: 14, fontWeight: 'bold', fill: 'currentColor' }),
    ],
  });
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  return svg.outerHTML.replace(/<style>/, `${STYLE}<style>`);
}

/** One bar for each contender, on a logarithmic scale where they are far apart. */
export function barsOf({ title, unit, rows, references }) {
  const bars = [
    ...rows.filter(({ value }) => value !== undefined).map(({ name, role, value }) => ({ name, role, ...value })),
    ...references.map(({ name, figure }) => ({ name, role: 'cited', median: figure, min: figure, max: figure })),
  ].filter(({ median }) => median > 0);
  const highest = Math.max(...bars.map(({ max }) => max));
  const lowest = Math.min(...bars.map(({ min }) => min));
  const type = highest / lowest > 20 ? 'log' : 'linear';
  const start = type === 'log' ? lowest / 2 : 0;
  return render({
    title,
    width: 760,
    height: 90 + 26 * bars.length,
    marginLeft: 230,
    marginRight: 70,
    x: {
      type,
      label: `${unit}${type === 'log' ? ' (log)' : ''}`,
      domain: [start, highest * (type === 'log' ? 1.4 : 1.1)],
      grid: true,
    },
    y: { label: null, domain: bars.map(({ name }) => name) },
    marks: [
      Plot.barX(bars, { y: 'name', x1: start, x2: 'median', fill: ({ role }) => COLORS[role] }),
      Plot.ruleY(bars, { y: 'name', x1: 'min', x2: 'max', stroke: 'currentColor' }),
      Plot.text(bars, {
        y: 'name',
        x: 'max',
        text: ({ median }) => short(median),
        textAnchor: 'start',
        dx: 5,
        fill: 'currentColor',
      }),
    ],
  });
}

/** One line for each contender, over decades of work. */
export function curveOf({ title, axis, unit, points }) {
  const rows = points.map(({ name, x, value }) => ({ name, x, ...value }));
  const color = (name) => (name === 'floor' ? COLORS.floor : COLORS.ours);
  const last = [...new Map(rows.map((row) => [row.name, row])).values()];
  return render({
    title: `${title} (${unit})`,
    width: 760,
    height: 320,
    marginRight: 100,
    x: { type: 'log', label: axis, grid: true, tickFormat: short },
    y: { label: null, domain: [0, Math.max(...rows.map(({ max }) => max)) * 1.05], grid: true },
    marks: [
      Plot.ruleX(rows, { x: 'x', y1: 'min', y2: 'max', stroke: ({ name }) => color(name) }),
      Plot.line(rows, { x: 'x', y: 'median', z: 'name', stroke: ({ name }) => color(name) }),
      Plot.dot(rows, { x: 'x', y: 'median', fill: ({ name }) => color(name) }),
      Plot.text(last, {
        x: 'x',
        y: 'median',
        text: 'name',
        textAnchor: 'start',
        dx: 8,
        fill: ({ name }) => color(name),
      }),
    ],
  });
}

function short(value) {
  if (value >= 1e6) return `${+(value / 1e6).toPrecision(3)} M`;
  if (value >= 1e3) return `${+(value / 1e3).toPrecision(3)} k`;
  return String(+value.toPrecision(3));
}
