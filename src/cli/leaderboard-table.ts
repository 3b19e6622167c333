import type { Leaderboard, RetrievalRow, RetrievalSystemScore } from "../../clients/typescript/index.js";

type Estimate = RetrievalSystemScore["ndcgAt10"];

/** The leaderboard and what it shows, as lines for people. */
export function leaderboardLines(found: Leaderboard): string[] {
  const head = ["system", "nDCG@10", "interval", "minus base", "RR@10", "R@100", "p50 ms"];
  const rows = found.rows.map((row) => [
    nameOfRow(row),
    figure(row.ndcgAt10),
    intervalOf(row.ndcgAt10),
    differenceOf(row.againstBase?.delta ?? null),
    figure(row.rrAt10),
    figure(row.recallAt100),
    row.latency?.total == null ? "-" : row.latency.total.p50.toFixed(1),
  ]);
  return [
    ...table([head, ...rows]),
    "",
    ...found.tests.map(testLine),
    ...found.gate.filter(({ open }) => !open).map(({ fold }) => `Gate closed in fold ${fold}.`),
    "",
    ...found.summary,
  ];
}

/** A row as people read it: the system and, where it has several rows, its alpha. */
export function nameOfRow({ system, alpha }: RetrievalRow): string {
  return system === "SOFTQE_MIXED" ? `${system} ${alpha}` : system;
}

function testLine({ candidate, baseline, delta, adjustedPValue, wins, ties, losses, verdict }: Test): string {
  const p = adjustedPValue === null ? "not tested" : `p ${adjustedPValue.toPrecision(2)} after Holm`;
  const outcomes = `${wins} won, ${ties} tied, ${losses} lost`;
  return `${nameOfRow(candidate)} - ${nameOfRow(baseline)}: ${differenceOf(delta)} (${p}; ${outcomes}): ${verdict}`;
}

type Test = Leaderboard["tests"][number];

function figure(estimate: Estimate): string {
  return estimate === null ? "-" : shown(estimate.value);
}

function differenceOf(estimate: Estimate): string {
  return estimate === null ? "-" : `${signed(estimate.value)} ${intervalOf(estimate, signed)}`;
}

function intervalOf(estimate: Estimate, show: (value: number) => string = shown): string {
  return estimate === null ? "-" : `[${show(estimate.interval.low)}, ${show(estimate.interval.high)}]`;
}

function shown(value: number): string {
  return value.toFixed(3);
}

function signed(value: number): string {
  return `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(3)}`;
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  "),
  );
}
