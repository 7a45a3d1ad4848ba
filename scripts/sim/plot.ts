import type { Findings } from "./day.ts";

export interface Series {
  community: string;
  policy: string;
  findings: Findings;
}

const WIDTH = 860;
const LEFT = 190;
const RIGHT = 30;
const ROW = 22;
const GAP = 26;
const TOP = 56;
/** From 0.1 s to an hour; what is shorter stands at the left edge. */
const [SHORTEST, LONGEST] = [100, 3_600_000];
const TICKS: [number, string][] = [
  [100, "0.1 s"],
  [1_000, "1 s"],
  [5_000, "5 s"],
  [10_000, "10 s"],
  [60_000, "1 min"],
  [600_000, "10 min"],
  [3_600_000, "1 h"],
];
const COLOURS = ["#2563eb", "#d97706", "#9ca3af"];

/** @param part 0.5 for the median. 0 when nobody waited. */
export const percentile = (sorted: readonly number[], part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;

const x = (ms: number): number => {
  const share = Math.log(Math.max(ms, SHORTEST) / SHORTEST) / Math.log(LONGEST / SHORTEST);
  return LEFT + Math.min(1, share) * (WIDTH - LEFT - RIGHT);
};
const at = (value: number): string => value.toFixed(1);

/** Waiting times as an SVG: a row for each community and policy, from its median over p95 to p99. */
export function plot(series: readonly Series[]): string {
  const policies = [...new Set(series.map(({ policy }) => policy))];
  const communities = [...new Set(series.map(({ community }) => community))];
  const rows: string[] = [];
  let y = TOP;
  for (const community of communities) {
    y += GAP;
    rows.push(`<text x="12" y="${y - 6}" font-weight="600">${community} visitors</text>`);
    for (const { policy, findings } of series.filter((one) => one.community === community)) {
      const colour = COLOURS[policies.indexOf(policy) % COLOURS.length]!;
      const [p50, p95, p99] = [0.5, 0.95, 0.99].map((part) => x(percentile(findings.waits, part)));
      const middle = y + ROW / 2;
      rows.push(
        `<text x="${LEFT - 10}" y="${middle + 4}" text-anchor="end">${policy}</text>`,
        `<path d="M${at(p50!)} ${middle}H${at(p95!)}" stroke="${colour}" stroke-width="8"/>`,
        `<path d="M${at(p95!)} ${middle}H${at(p99!)}" stroke="${colour}" stroke-width="2"/>`,
        `<circle cx="${at(p50!)}" cy="${middle}" r="6" fill="${colour}"/>`,
        `<path d="M${at(p99!)} ${middle - 6}v12" stroke="${colour}" stroke-width="2"/>`,
      );
      y += ROW;
    }
  }
  const height = y + 40;
  const ticks = TICKS.map(
    ([ms, name]) =>
      `<path d="M${at(x(ms))} ${TOP}V${height - 34}" stroke="#8884"/>` +
      `<text x="${at(x(ms))}" y="${height - 16}" text-anchor="middle">${name}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="12" y="24" font-size="16" font-weight="600">How long visitors wait</text>`,
    `<text x="12" y="42">Dot: median. Thick line: to p95. Thin line: to p99. Those who gave up are among them.</text>`,
    ...ticks,
    ...rows,
    `</svg>\n`,
  ].join("\n");
}
