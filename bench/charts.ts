/** Charts of the benchmarks: what the simulator's charts do not have, and those. */
import { lineChart } from './simulator/svg.ts';
import type { Series } from './simulator/svg.ts';

export { lineChart };
export type { Series };

export interface RatioBar {
  readonly label: string;
  readonly ratio: number;
  /** Marked on the bar's line. */
  readonly target: number | undefined;
}

const ROW = 24;
const [LEFT, WIDTH, TOP] = [250, 520, 62];
const BETTER = '#2e8b57';
const WORSE = '#d1495b';

/** Horizontal bars from 1, to the right where ours is better, on a logarithmic scale; targets as marks. */
export function ratioChart(title: string, bars: readonly RatioBar[]): string {
  const reach = Math.max(
    Math.log10(2),
    ...bars.flatMap(({ ratio, target }) => [ratio, target ?? 1].map((each) => Math.abs(Math.log10(each)))),
  );
  const limit = Math.ceil(reach * 10 + 0.5) / 10;
  const at = (ratio: number): number => LEFT + ((Math.log10(ratio) + limit) / (2 * limit)) * WIDTH;
  const bottom = TOP + bars.length * ROW;
  const ticks = ticksTo(limit).flatMap((tick) => [
    `<line x1="${pixel(at(tick))}" y1="${TOP - 4}" x2="${pixel(at(tick))}" y2="${bottom}" stroke="${tick === 1 ? '#22272e' : '#e3e6ea'}"/>`,
    text(at(tick), TOP - 10, `${tick}x`, 'middle'),
  ]);
  const shapes = bars.flatMap((bar, number) => barOf(bar, TOP + number * ROW, at));
  const [width, height] = [LEFT + WIDTH + 70, bottom + 34];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}" font-family="system-ui, sans-serif" font-size="12" fill="#22272e">`,
    `<rect width="${width}" height="${height}" fill="#fbfcfd"/>`,
    `<text x="16" y="26" font-size="15" font-weight="600">${escape(title)}</text>`,
    ...ticks,
    ...shapes,
    text(LEFT, height - 10, 'right of 1x: ours is better; vertical mark: target', 'start'),
    '</svg>',
    '',
  ].join('\n');
}

function barOf({ label, ratio, target }: RatioBar, y: number, at: (ratio: number) => number): string[] {
  const [from, to] = [at(1), at(ratio)];
  const left = Math.min(from, to);
  const bar = `<rect x="${pixel(left)}" y="${y + 5}" width="${pixel(Math.abs(to - from))}" height="${ROW - 10}" fill="${ratio >= 1 ? BETTER : WORSE}"/>`;
  const mark =
    target === undefined
      ? []
      : [
          `<line x1="${pixel(at(target))}" y1="${y + 2}" x2="${pixel(at(target))}" y2="${y + ROW - 2}" stroke="#22272e" stroke-width="3"/>`,
        ];
  const value = text(LEFT + WIDTH + 10, y + 16, `${Number(ratio.toPrecision(3))}x`, 'start');
  return [text(LEFT - 8, y + 16, label, 'end'), bar, ...mark, value];
}

/** 1, 2, 5 times powers of ten within the limit, fewer on a wide scale. */
function ticksTo(limit: number): number[] {
  const factors = limit > 1.5 ? [1] : [1, 2, 5];
  const powers = Array.from({ length: 2 * Math.ceil(limit) + 1 }, (_, at) => at - Math.ceil(limit));
  return powers
    .flatMap((power) => factors.map((factor) => Number((factor * 10 ** power).toPrecision(1))))
    .filter((tick) => Math.abs(Math.log10(tick)) <= limit);
}

function text(x: number, y: number, label: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${pixel(x)}" y="${pixel(y)}" text-anchor="${anchor}">${escape(label)}</text>`;
}

const pixel = (value: number): string => String(Math.round(value * 10) / 10);
const escape = (label: string): string =>
  label.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
