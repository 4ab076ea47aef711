/** Line and bar charts as SVG text: axes, ticks, legend, on a light ground that reads in dark pages too. */

const HEIGHT = 420;
/** Of the plot; a legend stands to its right. */
const [LEFT, RIGHT, TOP, BOTTOM] = [78, 700, 46, HEIGHT - 58];
const MARGIN = 18;
const COLOURS = ['#1f6fb4', '#d1495b', '#2e8b57', '#b8860b', '#6a4c93', '#00798c', '#8a5a44', '#555555'];
const LEGEND_LINE = 17;

interface Axis {
  readonly label: string;
  readonly log?: boolean;
  /** By default, what the points need. */
  readonly min?: number;
  readonly max?: number;
}

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** A formula beside what was measured. */
  readonly dashed?: boolean;
  /** Points that were measured, each with a dot. */
  readonly dots?: boolean;
}

export interface LineChart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

export interface BarChart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  /** In order; labelled where there are few. */
  readonly bars: readonly { readonly label: string; readonly value: number }[];
}

interface Scale {
  readonly ticks: readonly number[];
  /** Value to pixels. */
  readonly at: (value: number) => number;
}

/** Points that a logarithmic axis cannot show are left out. */
export function lineChart({ title, x, y, series }: LineChart): string {
  const shown = series.map((each) => ({
    ...each,
    points: each.points.filter(([px, py]) => (!x.log || px > 0) && (!y.log || py > 0)),
  }));
  const xs = scaleOf(
    x,
    shown.flatMap(({ points }) => points.map(([px]) => px)),
    LEFT,
    RIGHT,
  );
  const ys = scaleOf(
    y,
    shown.flatMap(({ points }) => points.map(([, py]) => py)),
    BOTTOM,
    TOP,
  );
  const lines = shown.flatMap(({ points, dashed, dots }, number) => {
    const at = points.map(([px, py]) => [pixel(xs.at(px)), pixel(ys.at(py))] as const);
    const path = at.map((point) => point.join()).join(' ');
    const line = `<polyline fill="none" ${stroke(number, dashed)} points="${path}"/>`;
    const marks = at.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour(number)}"/>`);
    return dots ? [line, ...marks] : [line];
  });
  const width = 34 + Math.max(...series.map(({ name }) => name.length)) * 6.8;
  return page(title, RIGHT + MARGIN + width, [...axes(x, y, xs, ys), ...lines, ...legendOf(shown)]);
}

export function barChart({ title, x, y, bars }: BarChart): string {
  const ys = scaleOf(
    { min: 0, ...y },
    bars.map(({ value }) => value),
    BOTTOM,
    TOP,
  );
  const step = (RIGHT - LEFT) / bars.length;
  const every = Math.ceil(bars.length / 16);
  const shapes = bars.flatMap(({ label, value }, number) => {
    const left = LEFT + number * step;
    const top = ys.at(value);
    const shape =
      `<rect x="${pixel(left + step * 0.08)}" y="${pixel(top)}" width="${pixel(step * 0.84)}" ` +
      `height="${pixel(BOTTOM - top)}" fill="${COLOURS[0]}"/>`;
    const name = text(left + step / 2, BOTTOM + 18, label, 'middle');
    return number % every === 0 ? [shape, name] : [shape];
  });
  return page(title, RIGHT + MARGIN, [...yAxis(y, ys), xLabel(x), ...shapes]);
}

function axes(x: Axis, y: Axis, xs: Scale, ys: Scale): string[] {
  const ticks = xs.ticks.flatMap((tick) => {
    const at = pixel(xs.at(tick));
    const grid = `<line x1="${at}" y1="${TOP}" x2="${at}" y2="${BOTTOM}" stroke="#e3e6ea"/>`;
    return [grid, text(xs.at(tick), BOTTOM + 18, tickLabel(tick), 'middle')];
  });
  return [...ticks, ...yAxis(y, ys), xLabel(x)];
}

function yAxis({ label }: Axis, ys: Scale): string[] {
  const ticks = ys.ticks.flatMap((tick) => {
    const at = pixel(ys.at(tick));
    const grid = `<line x1="${LEFT}" y1="${at}" x2="${RIGHT}" y2="${at}" stroke="#e3e6ea"/>`;
    return [grid, text(LEFT - 8, ys.at(tick) + 4, tickLabel(tick), 'end')];
  });
  const frame =
    `<rect x="${LEFT}" y="${TOP}" width="${RIGHT - LEFT}" height="${BOTTOM - TOP}" ` +
    'fill="none" stroke="#8a929b"/>';
  const middle = (TOP + BOTTOM) / 2;
  const name = `<text x="18" y="${middle}" text-anchor="middle" transform="rotate(-90 18 ${middle})">${escape(label)}</text>`;
  return [...ticks, frame, name];
}

const xLabel = ({ label }: Axis): string => text((LEFT + RIGHT) / 2, HEIGHT - 14, label, 'middle');

function legendOf(series: readonly Series[]): string[] {
  const left = RIGHT + MARGIN / 2;
  return series.flatMap(({ name, dashed }, number) => {
    const y = TOP + 12 + number * LEGEND_LINE;
    const line = `<line x1="${left}" y1="${y - 4}" x2="${left + 22}" y2="${y - 4}" ${stroke(number, dashed)}/>`;
    return [line, text(left + 28, y, name, 'start')];
  });
}

function scaleOf(axis: Axis, values: readonly number[], from: number, to: number): Scale {
  const low = axis.min ?? values.reduce((least, value) => Math.min(least, value), Infinity);
  const high = axis.max ?? values.reduce((most, value) => Math.max(most, value), -Infinity);
  const [first, last] = Number.isFinite(low) && high > low ? [low, high] : [finite(low), finite(low) + 1];
  const map = (value: number): number => (axis.log ? Math.log10(value) : value);
  const all = axis.log ? logTicks(first, last) : roundTicks(first, last);
  const start = axis.min ?? (axis.log ? first : all[0]!);
  const end = axis.max ?? (axis.log ? last : all.at(-1)!);
  const ticks = all.filter((tick) => tick >= start * (1 - 1e-9) - 1e-300 && tick <= end * (1 + 1e-9));
  const length = map(end) - map(start);
  return { ticks, at: (value) => from + ((map(value) - map(start)) / length) * (to - from) };
}

const finite = (value: number): number => (Number.isFinite(value) ? value : 0);

/** About six ticks at 1, 2 or 5 times a power of ten. */
function roundTicks(low: number, high: number): number[] {
  const rough = (high - low) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, at) => (first + at) * step);
}

/** Powers of ten, about eight of them at most; where there are fewer than three, also 2 and 5 times each. */
function logTicks(low: number, high: number): number[] {
  const first = Math.floor(Math.log10(low) + 1e-9);
  const last = Math.ceil(Math.log10(high) - 1e-9);
  const every = Math.ceil((last - first) / 8);
  const factors = last - first <= 3 ? [1, 2, 5] : [1];
  const ticks: number[] = [];
  for (let at = first; at <= last; at += every) ticks.push(...factors.map((factor) => factor * 10 ** at));
  return ticks;
}

function tickLabel(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(0).replace('e+', 'e');
  return String(Number(value.toPrecision(4)));
}

function page(title: string, exactWidth: number, parts: readonly string[]): string {
  const width = Math.ceil(exactWidth);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${HEIGHT}" width="${width}" height="${HEIGHT}" role="img" aria-label="${escape(title)}" font-family="system-ui, sans-serif" font-size="12" fill="#22272e">`,
    `<rect width="${width}" height="${HEIGHT}" fill="#fbfcfd"/>`,
    `<text x="${LEFT}" y="26" font-size="15" font-weight="600">${escape(title)}</text>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function text(x: number, y: number, label: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${pixel(x)}" y="${pixel(y)}" text-anchor="${anchor}">${escape(label)}</text>`;
}

const stroke = (number: number, dashed = false): string =>
  `stroke="${colour(number)}" stroke-width="2"${dashed ? ' stroke-dasharray="6 4"' : ''}`;
const colour = (number: number): string => COLOURS[number % COLOURS.length]!;
const pixel = (value: number): string => String(Math.round(value * 10) / 10);

function escape(label: string): string {
  return label
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
